{{- /* Made from values.yaml by tests/chart/check.py --write: what only one mode reads, as it is by default. */ -}}
{{- define "exequatur.defaults" -}}
central:
  admin:
    certificates: []
    enabled: false
    ingressFrom: []
    tls:
      clientCa:
        existingSecret: ''
        key: ca.crt
      existingSecret: ''
    tokens: []
  autoscaling:
    behavior:
      scaleDown:
        policies:
        - periodSeconds: 60
          type: Pods
          value: 1
        stabilizationWindowSeconds: 300
      scaleUp: {}
    enabled: false
    maxReplicas: 10
    metrics: []
    minReplicas: 2
    targetCPUUtilizationPercentage: 70
  certManager:
    duration: 2160h
    enabled: false
    issuerRef:
      group: cert-manager.io
      kind: Issuer
      name: ''
    renewBefore: 720h
  grpc:
    plaintext: ''
    tls:
      clientCa:
        existingSecret: ''
        key: ca.crt
      clients: []
      existingSecret: ''
  istio:
    ambient: false
    enabled: false
    principals:
      envoy: []
      metrics: []
      operators: []
      public: []
  monitoring:
    podMonitor:
      enabled: false
      interval: 15s
      labels: {}
    serviceMonitor:
      enabled: false
      interval: 15s
      labels: {}
  networkPolicy:
    egress:
      dns:
      - namespaceSelector:
          matchLabels:
            kubernetes.io/metadata.name: kube-system
      enabled: false
      issuers:
        ports:
        - 443
        to: []
      others: []
      redis:
        ports:
        - 6379
        to: []
      telemetry:
        ports:
        - 4317
        to: []
    enabled: true
    envoy: []
    metrics: []
    public: []
  pod:
    affinity: {}
    annotations: {}
    labels: {}
    nodeSelector: {}
    priorityClassName: ''
    tolerations: []
    topologySpreadConstraints: []
  podDisruptionBudget:
    enabled: true
    maxUnavailable: 1
    minAvailable: ''
  podSecurityContext:
    fsGroup: 65532
    runAsGroup: 65532
    runAsUser: 65532
  replicas: 1
  service:
    adminPort: 9194
    annotations:
      admin: {}
      grpc: {}
      public: {}
    grpcPort: 9191
    headless: true
    publicPort: 9192
    publicType: ClusterIP
  serviceAccount:
    annotations: {}
    create: true
    name: ''
  storage:
    existingClaim: ''
  tests:
    deny:
      headers: []
      method: ''
      reason: credentials_missing
      url: ''
    enabled: false
    permit:
      headers: []
      method: GET
      token:
        existingSecret: ''
        key: token
      url: ''
    tls:
      ca:
        existingSecret: ''
        key: ca.crt
      clientSecret: ''
sidecar:
  sidecar:
    envoy: envoy
    envoyUser: 101
{{- end -}}
