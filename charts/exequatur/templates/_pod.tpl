{{- /* The container, and its volumes: of the Deployment, and of a pod that it stands in as a sidecar. */ -}}
{{- define "exequatur.container" -}}
name: exequatur
image: {{ include "exequatur.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [exequatur]
args: [serve, --config, {{ include "exequatur.folder" . }}/configuration, --log, {{ .Values.log.level | quote }}, --log-format, {{ .Values.log.format }}]
{{- with .Values.extraEnv }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- if eq .Values.mode "central" }}
  - { name: grpc, containerPort: 9191 }
  {{- end }}
  - { name: public, containerPort: 9192 }
  - { name: metrics, containerPort: 9193 }
  {{- if .Values.admin.enabled }}
  - { name: admin, containerPort: 9194 }
  {{- end }}
# Says that the keys of every issuer were there once, and that the pod does not drain.
readinessProbe:
  {{- if or (eq .Values.mode "sidecar") (include "exequatur.grpcSecret" .) (dig "listen" "grpc_tls" "" .Values.config) }}
  # Kubelet asks for gRPC health over TCP and without TLS only.
  httpGet: { path: /readyz, port: public }
  {{- else }}
  grpc: { port: 9191, service: envoy.service.auth.v3.Authorization }
  {{- end }}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
# Not gRPC health, which waits for the issuers: a restart would not bring them. Not the public listener, whose
# few connections anybody may take.
livenessProbe:
  httpGet: { path: /metrics, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
lifecycle:
  # Until those who choose a replica by its endpoints have heard that it stops. Older clusters would drop this; there
  # is no shell in the image that could wait in its stead.
  preStop: { sleep: { seconds: 5 } }
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - { name: configuration, mountPath: {{ include "exequatur.folder" . }}, readOnly: true }
  - { name: sockets, mountPath: /run/exequatur }
  {{- if eq .Values.mode "sidecar" }}
  - { name: envoy, mountPath: {{ include "exequatur.shared" . }} }
  {{- end }}
  {{- if .Values.secrets }}
  - { name: secrets, mountPath: {{ include "exequatur.secrets" . }}, readOnly: true }
  {{- end }}
  {{- if include "exequatur.grpcSecret" . }}
  - { name: grpc, mountPath: {{ include "exequatur.grpc" . }}, readOnly: true }
  {{- end }}
  {{- if .Values.policies.existingClaim }}
  - { name: policies, mountPath: {{ include "exequatur.policies" . }}, readOnly: true }
  {{- end }}
  {{- if .Values.admin.enabled }}
  - { name: admin, mountPath: {{ include "exequatur.admin" . }}, readOnly: true }
  {{- end }}
  {{- if .Values.storage.existingClaim }}
  - { name: storage, mountPath: {{ include "exequatur.storage" . }} }
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "exequatur.volumes" -}}
# One volume without `subPath`: kubelet switches all of it by one link.
- name: configuration
  projected:
    sources:
      {{- with .Values.policies.existingConfigMap }}
      - configMap: { name: {{ . | quote }} }
      {{- end }}
      {{- range .Values.policies.existingConfigMaps }}
      - configMap:
          name: {{ .name | quote }}
          items:
            {{- range .files }}
            - { key: {{ . | quote }}, path: {{ . | quote }} }
            {{- end }}
      {{- end }}
      # Last, so that no file of another ConfigMap takes the place of the configuration.
      - configMap: { name: {{ include "exequatur.name" . | quote }} }
# For Unix sockets: that of operators, admin.sock.
- name: sockets
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- if eq .Values.mode "sidecar" }}
# For the socket that Envoy asks at, and for no other container.
- name: envoy
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- end }}
{{- if .Values.secrets }}
- name: secrets
  projected:
    # Exequatur takes no secret that others may read; the usual mode is 0644.
    defaultMode: 0440
    sources:
      {{- range $name, $secret := .Values.secrets }}
      - secret:
          name: {{ $secret.existingSecret | quote }}
          items: [{ key: {{ $secret.key | quote }}, path: {{ $name | quote }} }]
      {{- end }}
{{- end }}
{{- with include "exequatur.grpcSecret" . }}
# One volume: certificate and key change together.
- name: grpc
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ . | quote }}
          items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }]
      {{- with $.Values.grpc.tls.clientCa }}
      {{- if .existingSecret }}
      - secret:
          name: {{ .existingSecret | quote }}
          items: [{ key: {{ .key | quote }}, path: clients.crt }]
      {{- end }}
      {{- end }}
{{- end }}
{{- with .Values.policies.existingClaim }}
- name: policies
  persistentVolumeClaim: { claimName: {{ . | quote }}, readOnly: true }
{{- end }}
{{- if .Values.admin.enabled }}
# One volume: certificate and key change together.
- name: admin
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "exequatur.adminSecret" . | quote }}
          items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }]
      {{- with .Values.admin.tls.clientCa }}
      {{- if .existingSecret }}
      - secret:
          name: {{ .existingSecret | quote }}
          items: [{ key: {{ .key | quote }}, path: clients.crt }]
      {{- end }}
      {{- end }}
{{- end }}
{{- with .Values.storage.existingClaim }}
- name: storage
  persistentVolumeClaim: { claimName: {{ . | quote }} }
{{- end }}
{{- with .Values.extraVolumes }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}
