{{- /* Where things are in the container. */ -}}
{{- define "exequatur.folder" -}}/etc/exequatur{{- end -}}
{{- define "exequatur.secrets" -}}/run/secrets/exequatur{{- end -}}
{{- define "exequatur.storage" -}}/var/lib/exequatur{{- end -}}

{{- /* The whole configuration: what the values say, where it listens, and where the policies are. They lie beside it:
one volume, so that kubelet switches both at once. */ -}}
{{- define "exequatur.configuration" -}}
{{- $at := .Values.listenAddress -}}
{{- $listen := dict "grpc" (printf "%s:9191" $at) "public" (printf "%s:9192" $at) "metrics" (printf "%s:9193" $at) -}}
{{- $listen = merge $listen (.Values.config.listen | default dict) -}}
{{- toYaml (merge (dict "policies" "." "listen" $listen) (omit .Values.config "listen")) -}}
{{- end -}}

{{- /* A digest of what Exequatur reads at its start only, in whose stead a new pod is needed. Routes, protected
resources and policies are gone over to by the running one. */ -}}
{{- define "exequatur.fixed" -}}
{{- $configuration := include "exequatur.configuration" . | fromYaml -}}
{{- omit $configuration "routes" "protected_resources" | toJson | sha256sum -}}
{{- end -}}
