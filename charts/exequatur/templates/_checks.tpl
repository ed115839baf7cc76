{{- /* Fails with everything that the schema cannot say of the values. */ -}}
{{- define "exequatur.checked" -}}
{{- $wrong := list -}}
{{- $config := .Values.config -}}
{{- $listen := $config.listen | default dict -}}
{{- $redis := dig "store" "redis" "" $config -}}

{{- if not .Values.image.repository -}}
{{- $wrong = append $wrong "image.repository is empty: no image is published yet, so name the one that you built" -}}
{{- end -}}

{{- if and (eq .Values.mode "central") (not (regexMatch "^[a-z]" (include "exequatur.name" .))) -}}
{{- $wrong = append $wrong (printf "`%s` does not begin with a letter, which the name of a Service has to: give fullnameOverride" (include "exequatur.name" .)) -}}
{{- end -}}
{{- if ne (toString $listen.plaintext) "accepted" -}}
{{- $wrong = append $wrong "config.listen.plaintext is not `accepted`: the listeners are reached over the network, and those for metadata and metrics have no TLS. Say `accepted` if who reaches them may; of the gRPC port, grpc.plaintext says it" -}}
{{- end -}}
{{- range $key := list "protected_resources" "issuers" "routes" -}}
{{- if not (index $config $key) -}}
{{- $wrong = append $wrong (printf "config.%s is missing" $key) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "grpc" "public" "metrics" "admin" -}}
{{- if hasKey $listen $key -}}
{{- $wrong = append $wrong (printf "config.listen.%s is set by the chart: leave it out (listenAddress chooses the address)" $key) -}}
{{- end -}}
{{- end -}}
{{- if hasKey $config "admin" -}}
{{- $wrong = append $wrong "config.admin is set by the chart: give `admin`, beside `config`" -}}
{{- end -}}

{{- $admin := .Values.admin -}}
{{- if $admin.enabled -}}
{{- if not (include "exequatur.adminSecret" .) -}}
{{- $wrong = append $wrong "admin.tls.existingSecret is empty: operators' tokens would cross the network without TLS, so name a Secret with tls.crt and tls.key, or let certManager make it" -}}
{{- end -}}
{{- if not (or $admin.tokens $admin.certificates) -}}
{{- $wrong = append $wrong "admin.enabled and nobody who may give orders: give admin.tokens or admin.certificates. For `kubectl exec` it is not needed" -}}
{{- end -}}
{{- if and $admin.certificates (not $admin.tls.clientCa.existingSecret) -}}
{{- $wrong = append $wrong "admin.certificates without admin.tls.clientCa.existingSecret: nobody says whose they are" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not $admin.ingressFrom) -}}
{{- $wrong = append $wrong "admin.ingressFrom is empty: name where operators come from, or nobody could give orders" -}}
{{- end -}}
{{- end -}}
{{- if hasKey $config "policies" -}}
{{- $wrong = append $wrong "config.policies is set by the chart: give policies.files or policies.existingConfigMap" -}}
{{- end -}}

{{- $sources := list -}}
{{- range $key := list "files" "existingConfigMap" "existingConfigMaps" "existingClaim" -}}
{{- if index $.Values.policies $key -}}{{- $sources = append $sources (printf "policies.%s" $key) -}}{{- end -}}
{{- end -}}
{{- if gt (len $sources) 1 -}}
{{- $wrong = append $wrong (printf "%s are both given: decide for one" (join " and " $sources)) -}}
{{- else if not $sources -}}
{{- $wrong = append $wrong "there are no policies: give policies.files, policies.existingConfigMap, policies.existingConfigMaps or policies.existingClaim" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .Values.policies.existingConfigMaps -}}
{{- $map := .name -}}
{{- range .files -}}
{{- if not (regexMatch (include "exequatur.policyFile" $) .) -}}
{{- $wrong = append $wrong (printf "policies.existingConfigMaps has `%s` of %s: only *.cedar and *.cedarschema are deployed, side by side" . $map) -}}
{{- else if hasKey $seen . -}}
{{- $wrong = append $wrong (printf "policies.existingConfigMaps has `%s` twice, of %s and of %s: one would take the other's place, so give it another name" . (get $seen .) $map) -}}
{{- end -}}
{{- $_ := set $seen . $map -}}
{{- end -}}
{{- end -}}

{{- range $name, $_ := .Values.policies.files -}}
{{- if not (regexMatch (include "exequatur.policyFile" $) $name) -}}
{{- $wrong = append $wrong (printf "policies.files has `%s`: only *.cedar and *.cedarschema are deployed, side by side. Tests stay where the policies are written" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := .Values.secrets -}}
{{- if not (regexMatch "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$" $name) -}}
{{- $wrong = append $wrong (printf "secrets has `%s`, which is no name for a file: letters, digits, `-`, `_` and `.`" $name) -}}
{{- end -}}
{{- end -}}

{{- $most := int (include "exequatur.most" .) -}}
{{- if and .Values.autoscaling.enabled (not $redis) -}}
{{- $wrong = append $wrong "autoscaling.enabled and there is no config.store.redis: with the embedded store a proof would pass once in each replica" -}}
{{- else if and (gt $most 1) (not $redis) -}}
{{- $wrong = append $wrong (printf "replicas is %d and there is no config.store.redis: with the embedded store a proof would pass once in each replica, so run one" (int .Values.replicas)) -}}
{{- end -}}

{{- /* What is written to is judged below. */ -}}
{{- $records := $config.records | default dict -}}
{{- $written := dict -}}
{{- if hasKey $records "file" -}}{{- $_ := set $written "config.records.file" $records.file -}}{{- end -}}
{{- $sinks := list -}}
{{- range $place, $sink := $records.sinks -}}
{{- if hasKey $sink "file" -}}{{- $_ := set $written (printf "config.records.sinks[%d].file" $place) $sink.file -}}{{- end -}}
{{- $sinks = append $sinks (omit $sink "file") -}}
{{- end -}}
{{- $read := omit $config "routes" "protected_resources" "records" -}}
{{- $_ := set $read "records" (omit $records "file" "sinks") -}}
{{- $_ := set $read.records "sinks" $sinks -}}
{{- if and (eq .Values.mode "central") (gt $most 1) (dig "replica" "name" "" $config) -}}
{{- $wrong = append $wrong (printf "config.replica.name would be the name of %d replicas: leave it out, and each is called as its pod" $most) -}}
{{- end -}}

{{- $found := dict -}}
{{- include "exequatur.files" (dict "at" "config" "value" $read "found" $found) -}}
{{- $folder := include "exequatur.secrets" . -}}
{{- range $key := keys $found | sortAlpha -}}
{{- $file := get $found $key -}}
{{- $mounted := false -}}
{{- range $name, $_ := $.Values.secrets -}}
{{- if eq $file (printf "%s/%s" $folder $name) -}}{{- $mounted = true -}}{{- end -}}
{{- end -}}
{{- range $.Values.extraVolumeMounts -}}
{{- if hasPrefix (printf "%s/" .mountPath) $file -}}{{- $mounted = true -}}{{- end -}}
{{- end -}}
{{- if not $mounted -}}
{{- $wrong = append $wrong (printf "%s names %s, which no Secret is mounted at: say `secrets.<name>: { existingSecret, key }` and %s/<name>, or mount it by extraVolumeMounts" $key $file $folder) -}}
{{- end -}}
{{- end -}}

{{- $storage := printf "%s/" (include "exequatur.storage" .) -}}
{{- $stored := hasPrefix $storage (toString $records.file) -}}
{{- range $key := keys $written | sortAlpha -}}
{{- $file := toString (get $written $key) -}}
{{- if hasPrefix $storage $file -}}
{{- if not $.Values.storage.existingClaim -}}
{{- $wrong = append $wrong (printf "%s is on the storage, and storage.existingClaim is empty: records would be lost with the pod" $key) -}}
{{- end -}}
{{- else if ne $file "/dev/stdout" -}}
{{- $wrong = append $wrong (printf "%s is neither /dev/stdout nor below %s: nothing else can be written to" $key (include "exequatur.storage" $)) -}}
{{- end -}}
{{- end -}}
{{- if and $records (not $stored) (eq (toString $records.mode) "required") -}}
{{- $wrong = append $wrong "config.records.mode is `required`, which only a file on the storage can keep" -}}
{{- end -}}
{{- $path := toString (dig "store" "embedded" "path" "" $config) -}}
{{- if and $path (not (hasPrefix (printf "%s/" (include "exequatur.storage" .)) $path)) -}}
{{- $wrong = append $wrong (printf "config.store.embedded.path is not below %s: nothing else outlives the pod" (include "exequatur.storage" .)) -}}
{{- else if and $path (not .Values.storage.existingClaim) -}}
{{- $wrong = append $wrong "config.store.embedded.path is on the storage, and storage.existingClaim is empty: revocations would be lost with the pod" -}}
{{- end -}}
{{- if and (gt $most 1) .Values.storage.existingClaim -}}
{{- $wrong = append $wrong "storage.existingClaim is for a single replica: a record file has one writer" -}}
{{- end -}}

{{- if and (eq .Values.mode "central") .Values.networkPolicy.enabled (not .Values.networkPolicy.envoy) -}}
{{- $wrong = append $wrong "networkPolicy.envoy is empty: name Envoy's pods, or nobody could ask for decisions" -}}
{{- end -}}

{{- if and (eq .Values.service.publicType "LoadBalancer") .Values.networkPolicy.enabled (not .Values.networkPolicy.public) -}}
{{- $wrong = append $wrong "service.publicType is LoadBalancer and networkPolicy.public is empty: nobody could get through" -}}
{{- end -}}
{{- $wrong = concat $wrong (include "exequatur.wrongSidecar" . | fromJsonArray) -}}
{{- $wrong = concat $wrong (include "exequatur.wrongScaling" . | fromJsonArray) -}}
{{- $wrong = concat $wrong (include "exequatur.wrongCertificates" . | fromJsonArray) -}}
{{- $wrong = concat $wrong (include "exequatur.wrongIstio" . | fromJsonArray) -}}
{{- $wrong = concat $wrong (include "exequatur.wrongEgress" . | fromJsonArray) -}}
{{- $wrong = concat $wrong (include "exequatur.wrongTests" . | fromJsonArray) -}}
{{- $wrong = concat $wrong (include "exequatur.wrongExtras" . | fromJsonArray) -}}

{{- $size := len (include "exequatur.configuration" .) -}}
{{- range $name, $text := .Values.policies.files -}}
{{- $size = add $size (len $name) (len $text) -}}
{{- end -}}
{{- if gt (int $size) 1000000 -}}
{{- $wrong = append $wrong (printf "config and policies.files have %d bytes, more than fit into a ConfigMap: put policies into others (policies.existingConfigMaps)" (int $size)) -}}
{{- end -}}

{{- if $wrong -}}
{{- fail (printf "\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}

{{- define "exequatur.policyFile" -}}^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}[.](cedar|cedarschema)${{- end -}}

{{- /* Gathers, below `value`, what is named by a key `file` or `…_file`, under where it stands. */ -}}
{{- define "exequatur.files" -}}
{{- if kindIs "map" .value -}}
{{- range $key, $value := .value -}}
{{- $at := printf "%s.%s" $.at $key -}}
{{- if and (kindIs "string" $value) (or (eq $key "file") (hasSuffix "_file" $key)) -}}
{{- $_ := set $.found $at $value -}}
{{- else -}}
{{- include "exequatur.files" (dict "at" $at "value" $value "found" $.found) -}}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $place, $value := .value -}}
{{- include "exequatur.files" (dict "at" (printf "%s[%d]" $.at $place) "value" $value "found" $.found) -}}
{{- end -}}
{{- end -}}
{{- end -}}
