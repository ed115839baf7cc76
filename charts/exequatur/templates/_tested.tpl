{{- define "exequatur.testSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* What `helm test` asks, of whom, and from which Secrets: what the values say, and otherwise what `config` lets guess. */ -}}
{{- define "exequatur.tested" -}}
{{- $tests := .Values.tests -}}
{{- $own := include "exequatur.grpcSecret" . -}}
{{- $secured := ternary true false (or (ne $own "") (not (empty (dig "listen" "grpc_tls" "" .Values.config)))) -}}
{{- $permit := dict "method" $tests.permit.method "url" $tests.permit.url "headers" $tests.permit.headers "expect" "permit" -}}
{{- $deny := dict "method" $tests.deny.method "url" $tests.deny.url "headers" $tests.deny.headers "expect" $tests.deny.reason -}}
{{- $resource := first (.Values.config.protected_resources | default list) | default dict -}}
{{- $host := (urlParse (toString $resource.resource)).host -}}
{{- range .Values.config.routes -}}
{{- $at := printf "https://%s%s" (.match.host | default $host) .match.path -}}
{{- $access := .access | default "guarded" -}}
{{- if and (eq $access "public") (not $permit.url) (not (regexMatch "[{*]" .match.path)) -}}
{{- $_ := set $permit "url" $at -}}
{{- $_ := set $permit "method" (first .match.methods) -}}
{{- end -}}
{{- if and (eq $access "guarded") (not $deny.url) -}}
{{- /* A value for each parameter, and something below it. */ -}}
{{- $_ := set $deny "url" (regexReplaceAll "[{][^}]*[}]|[*][*]" $at "helm-test") -}}
{{- $_ := set $deny "method" ($deny.method | default (first .match.methods)) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $deny "method" ($deny.method | default "GET") -}}
{{- $sources := list -}}
{{- with $tests.permit.token -}}
{{- if .existingSecret -}}
{{- $items := list (dict "key" .key "path" "token") -}}
{{- $sources = append $sources (dict "secret" (dict "name" .existingSecret "items" $items)) -}}
{{- end -}}
{{- end -}}
{{- if $secured -}}
{{- $made := ternary $own "" (and .Values.certManager.enabled (empty .Values.grpc.tls.existingSecret)) -}}
{{- with $tests.tls.ca.existingSecret | default $made -}}
{{- $items := list (dict "key" $tests.tls.ca.key "path" "ca.crt") -}}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" $items)) -}}
{{- end -}}
{{- with $tests.tls.clientSecret -}}
{{- $items := list (dict "key" "tls.crt" "path" "tls.crt") (dict "key" "tls.key" "path" "tls.key") -}}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" $items)) -}}
{{- end -}}
{{- end -}}
{{- $scheme := ternary "https" "http" $secured -}}
{{- $server := printf "%s://%s" $scheme (include "exequatur.address" .) -}}
{{- toYaml (dict "server" $server "secured" $secured "permit" $permit "deny" $deny "sources" $sources) -}}
{{- end -}}

{{- define "exequatur.wrongTests" -}}
{{- $wrong := list -}}
{{- if .Values.tests.enabled -}}
{{- $asked := include "exequatur.tested" . | fromYaml -}}
{{- if not $asked.permit.url -}}
{{- $wrong = append $wrong "tests.permit.url is empty, and no route of config is public and without parameters: say what has to be permitted" -}}
{{- end -}}
{{- if not $asked.deny.url -}}
{{- $wrong = append $wrong "tests.deny.url is empty, and no route of config is guarded: say what has to be denied" -}}
{{- end -}}
{{- $tls := .Values.tests.tls -}}
{{- if $asked.secured -}}
{{- if not (or $tls.ca.existingSecret (and .Values.certManager.enabled (empty .Values.grpc.tls.existingSecret))) -}}
{{- $wrong = append $wrong "tests.tls.ca.existingSecret is empty: the test could not tell the listener from another" -}}
{{- end -}}
{{- if and (or .Values.grpc.tls.clientCa.existingSecret (dig "listen" "grpc_tls" "client_ca_file" "" .Values.config)) (not $tls.clientSecret) -}}
{{- $wrong = append $wrong "tests.tls.clientSecret is empty: the listener asks for a certificate, so the test needs one" -}}
{{- end -}}
{{- else if or $tls.ca.existingSecret $tls.clientSecret -}}
{{- $wrong = append $wrong "tests.tls is for a listener with TLS" -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
