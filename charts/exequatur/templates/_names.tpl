{{- /* The name of a Service, which may be longer by `-public`: 63 characters, and none of the dots of a release's name. */ -}}
{{- define "exequatur.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 54 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | replace "." "-" | trunc 54 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* As whom the pods run: what is null or "" is left to the cluster, as OpenShift wants it. */ -}}
{{- define "exequatur.ids" -}}
{{- $ids := dict -}}
{{- range $key, $value := .Values.podSecurityContext -}}
{{- if $value -}}{{- $_ := set $ids $key (int64 $value) -}}{{- end -}}
{{- end -}}
{{- if $ids -}}{{- toYaml $ids -}}{{- end -}}
{{- end -}}

{{- define "exequatur.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "exequatur.labels" -}}
{{ include "exequatur.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with include "exequatur.common" . | fromYaml }}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- /* `commonLabels`, without those that the chart sets. */ -}}
{{- define "exequatur.common" -}}
{{- omit .Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" "app.kubernetes.io/component" | toYaml -}}
{{- end -}}

{{- /* Where Envoy goes. Of a Service without an address it learns the pods', and goes to the port that they have. */ -}}
{{- define "exequatur.address" -}}
{{- printf "%s.%s.svc:%d" (include "exequatur.name" .) .Release.Namespace (ternary 9191 (int .Values.service.grpcPort) .Values.service.headless) -}}
{{- end -}}

{{- define "exequatur.account" -}}
{{- .Values.serviceAccount.name | default (include "exequatur.name" .) -}}
{{- end -}}

{{- /* The fewest pods that are wanted at any time. */ -}}
{{- define "exequatur.least" -}}
{{- if .Values.autoscaling.enabled -}}{{- .Values.autoscaling.minReplicas -}}{{- else -}}{{- .Values.replicas -}}{{- end -}}
{{- end -}}

{{- /* And the most. */ -}}
{{- define "exequatur.most" -}}
{{- if .Values.autoscaling.enabled -}}{{- .Values.autoscaling.maxReplicas -}}{{- else -}}{{- .Values.replicas -}}{{- end -}}
{{- end -}}

{{- /* The Secrets with certificates of the listeners: one's own, cert-manager's, or none. */ -}}
{{- define "exequatur.grpcSecret" -}}
{{- if .Values.grpc.tls.existingSecret -}}
{{- .Values.grpc.tls.existingSecret -}}
{{- else if .Values.certManager.enabled -}}
{{- include "exequatur.name" . }}-grpc-tls
{{- end -}}
{{- end -}}

{{- define "exequatur.adminSecret" -}}
{{- if .Values.admin.tls.existingSecret -}}
{{- .Values.admin.tls.existingSecret -}}
{{- else if .Values.certManager.enabled -}}
{{- include "exequatur.name" . }}-admin-tls
{{- end -}}
{{- end -}}

{{- define "exequatur.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* What brings the pods into the mesh, whatever the namespace says: outside of it the rules of istio.yaml bind nothing. */ -}}
{{- define "exequatur.meshed" -}}
{{- if and (eq .Values.mode "central") .Values.istio.enabled -}}
{{- $how := ternary (list "istio.io/dataplane-mode" "ambient") (list "sidecar.istio.io/inject" "true") .Values.istio.ambient -}}
{{- dict (index $how 0) (index $how 1) | toYaml -}}
{{- end -}}
{{- end -}}
