{{- /* Where things are in the container. */ -}}
{{- define "exequatur.folder" -}}/etc/exequatur{{- end -}}
{{- define "exequatur.secrets" -}}/run/secrets/exequatur{{- end -}}
{{- define "exequatur.storage" -}}/var/lib/exequatur{{- end -}}
{{- define "exequatur.admin" -}}/run/secrets/exequatur-admin{{- end -}}
{{- define "exequatur.shared" -}}/run/exequatur-envoy{{- end -}}
{{- define "exequatur.grpc" -}}/run/secrets/exequatur-grpc{{- end -}}
{{- /* Not below the folder of the configuration, which is a volume that nothing can be mounted in. */ -}}
{{- define "exequatur.policies" -}}/var/lib/exequatur-policies{{- end -}}

{{- /* The whole configuration: what the values say, where it listens, and where the policies are. They lie beside it:
one volume, so that kubelet switches both at once; but for those of a claim. */ -}}
{{- define "exequatur.configuration" -}}
{{- $at := .Values.listenAddress -}}
{{- $listen := dict "grpc" (printf "%s:9191" $at) "public" (printf "%s:9192" $at) "metrics" (printf "%s:9193" $at) -}}
{{- /* The socket is for whoever may `kubectl exec`: the pod's own user. */ -}}
{{- $_ := set $listen "admin" "unix:/run/exequatur/admin.sock" -}}
{{- if eq .Values.mode "sidecar" -}}
{{- $_ := set $listen "grpc" (printf "unix:%s/grpc.sock" (include "exequatur.shared" .)) -}}
{{- $_ := set $listen "grpc_peers" (list (int .Values.sidecar.envoyUser)) -}}
{{- end -}}
{{- $listen = merge $listen (.Values.config.listen | default dict) -}}
{{- if include "exequatur.grpcSecret" . -}}
{{- $files := include "exequatur.grpc" . -}}
{{- $tls := dict "certificate_file" (printf "%s/tls.crt" $files) "key_file" (printf "%s/tls.key" $files) -}}
{{- if .Values.grpc.tls.clientCa.existingSecret -}}
{{- $_ := set $tls "client_ca_file" (printf "%s/clients.crt" $files) -}}
{{- end -}}
{{- with .Values.grpc.tls.clients -}}
{{- $_ := set $tls "clients" . -}}
{{- end -}}
{{- $_ := set $listen "grpc_tls" $tls -}}
{{- end -}}
{{- $policies := ternary (include "exequatur.policies" .) "." (ne .Values.policies.existingClaim "") -}}
{{- $ours := dict "policies" $policies "listen" $listen -}}
{{- if .Values.admin.enabled -}}
{{- $_ := set $ours "admin" (include "exequatur.operators" . | fromYaml) -}}
{{- end -}}
{{- toYaml (merge $ours (omit .Values.config "listen")) -}}
{{- end -}}

{{- /* Orders over TCP: where, with which certificate, and who may give them. */ -}}
{{- define "exequatur.operators" -}}
{{- $files := include "exequatur.admin" . -}}
{{- $tls := dict "certificate_file" (printf "%s/tls.crt" $files) "key_file" (printf "%s/tls.key" $files) -}}
{{- if .Values.admin.tls.clientCa.existingSecret -}}
{{- $_ := set $tls "client_ca_file" (printf "%s/clients.crt" $files) -}}
{{- end -}}
{{- $admin := dict "listen" (printf "%s:9194" .Values.listenAddress) "tls" $tls -}}
{{- range $key := list "tokens" "certificates" -}}
{{- with index $.Values.admin $key -}}
{{- $_ := set $admin $key . -}}
{{- end -}}
{{- end -}}
{{- toYaml $admin -}}
{{- end -}}

{{- /* A digest of what a running Exequatur does not go over to, in whose stead a new pod is needed. (It goes over to some names of
files as well; another name is another entry of `secrets`, which changes the pod by itself.) */ -}}
{{- define "exequatur.fixed" -}}
{{- $configuration := include "exequatur.configuration" . | fromYaml -}}
{{- omit $configuration "protected_resources" "tenants" "federations" "routes" "limits" | toJson | sha256sum -}}
{{- end -}}
