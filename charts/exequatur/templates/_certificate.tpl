{{- define "exequatur.certificate" -}}
{{- $manager := .root.Values.certManager -}}
{{- $host := printf "%s.%s.svc" .service .root.Release.Namespace -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ include "exequatur.name" .root }}-{{ .of }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "exequatur.labels" .root | nindent 4 }}
spec:
  secretName: {{ .secret | quote }}
  dnsNames: [{{ $host }}, {{ $host }}.cluster.local]
  duration: {{ $manager.duration }}
  renewBefore: {{ $manager.renewBefore }}
  privateKey: { algorithm: ECDSA, size: 256, rotationPolicy: Always }
  usages: [digital signature, server auth]
  issuerRef:
    name: {{ $manager.issuerRef.name | quote }}
    kind: {{ $manager.issuerRef.kind | quote }}
    group: {{ $manager.issuerRef.group | quote }}
{{- end -}}
