{{- /* What is wrong with one part of the values, as a JSON array of sentences. */ -}}

{{- define "exequatur.wrongScaling" -}}
{{- $wrong := list -}}
{{- $scaling := .Values.autoscaling -}}
{{- $least := int (include "exequatur.least" .) -}}
{{- if $scaling.enabled -}}
{{- if lt (int $scaling.maxReplicas) (int $scaling.minReplicas) -}}
{{- $wrong = append $wrong (printf "autoscaling.maxReplicas is %d, less than minReplicas" (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- if not (dig "requests" "cpu" "" .Values.resources) -}}
{{- $wrong = append $wrong "autoscaling.enabled without resources.requests.cpu: nobody knows of what the target is a part" -}}
{{- end -}}
{{- end -}}
{{- $min := .Values.podDisruptionBudget.minAvailable -}}
{{- if and .Values.podDisruptionBudget.enabled (gt $least 1) -}}
{{- /* Of a percentage Kubernetes takes the next whole number. */ -}}
{{- $stay := int (ternary (div (add (mul (trimSuffix "%" (toString $min) | int) $least) 99) 100) $min (kindIs "string" $min)) -}}
{{- if ge $stay $least -}}
{{- $wrong = append $wrong (printf "podDisruptionBudget.minAvailable is %d of %d pods: no node of theirs could ever be drained" $stay $least) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "exequatur.wrongCertificates" -}}
{{- $wrong := list -}}
{{- $manager := .Values.certManager -}}
{{- if $manager.enabled -}}
{{- if not $manager.issuerRef.name -}}
{{- $wrong = append $wrong "certManager.issuerRef.name is empty: name the Issuer that signs" -}}
{{- end -}}
{{- if and .Values.grpc.tls.existingSecret (or (not .Values.admin.enabled) .Values.admin.tls.existingSecret) -}}
{{- $wrong = append $wrong "certManager.enabled, and each listener has an existingSecret: there is nothing to make" -}}
{{- end -}}
{{- if le (trimSuffix "h" $manager.duration | int) (trimSuffix "h" $manager.renewBefore | int) -}}
{{- $wrong = append $wrong "certManager.renewBefore is not shorter than duration: each certificate would be renewed at once" -}}
{{- end -}}
{{- end -}}
{{- if and (include "exequatur.grpcSecret" .) (dig "listen" "grpc_tls" "" .Values.config) -}}
{{- $wrong = append $wrong "config.listen.grpc_tls is set by the chart, from grpc.tls or certManager: leave it out" -}}
{{- end -}}
{{- if and (eq .Values.mode "central") (dig "listen" "grpc_peers" "" .Values.config) -}}
{{- $wrong = append $wrong "config.listen.grpc_peers is for a Unix socket, and Exequatur would not start: leave it out" -}}
{{- end -}}
{{- $secured := or (include "exequatur.grpcSecret" .) (dig "listen" "grpc_tls" "" .Values.config) -}}
{{- if and $secured .Values.grpc.plaintext -}}
{{- $wrong = append $wrong "grpc.plaintext is for a port without TLS, and this one has it: leave it out" -}}
{{- else if and (eq .Values.mode "central") (not $secured) (not .Values.grpc.plaintext) -}}
{{- $wrong = append $wrong "grpc.plaintext is empty and the gRPC port has no TLS: access tokens would cross the network in the clear, and whoever reaches the port could ask. Give grpc.tls.existingSecret or certManager; or say `mesh` (a mesh encrypts and knows who asks) or `trusted` (nobody else is on that network, or it encrypts)" -}}
{{- end -}}
{{- if and .Values.grpc.tls.clientCa.existingSecret (not (include "exequatur.grpcSecret" .)) -}}
{{- $wrong = append $wrong "grpc.tls.clientCa without grpc.tls.existingSecret or certManager: Envoys' certificates are asked for with TLS only" -}}
{{- end -}}
{{- if and .Values.grpc.tls.clients (not .Values.grpc.tls.clientCa.existingSecret) -}}
{{- $wrong = append $wrong "grpc.tls.clients without grpc.tls.clientCa.existingSecret: nobody vouches for their names" -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "exequatur.wrongIstio" -}}
{{- $wrong := list -}}
{{- $istio := .Values.istio -}}
{{- if and (eq .Values.mode "central") $istio.enabled -}}
{{- if ne .Values.grpc.plaintext "mesh" -}}
{{- $wrong = append $wrong "istio.enabled needs `grpc.plaintext: mesh`: Istio's proxies speak the mesh's TLS, and none within it" -}}
{{- end -}}
{{- if .Values.service.headless -}}
{{- $wrong = append $wrong "istio.enabled needs `service.headless: false`: a sidecar sends what is for a Service without an address to where the request was going" -}}
{{- end -}}
{{- if not $istio.principals.envoy -}}
{{- $wrong = append $wrong "istio.principals.envoy is empty: name whose proxies may ask, or nobody could" -}}
{{- end -}}
{{- if and .Values.admin.enabled (not $istio.principals.operators) -}}
{{- $wrong = append $wrong "istio.principals.operators is empty: nobody could give orders over TCP" -}}
{{- else if and $istio.principals.operators (not .Values.admin.enabled) -}}
{{- $wrong = append $wrong "istio.principals.operators is for admin.enabled" -}}
{{- end -}}
{{- if ne .Values.service.publicType "ClusterIP" -}}
{{- $wrong = append $wrong "service.publicType is LoadBalancer, and istio.enabled lets in nobody from outside the mesh: serve metadata by a gateway of the mesh" -}}
{{- end -}}
{{- if .Values.tests.enabled -}}
{{- $wrong = append $wrong "tests.enabled with istio.enabled: the test's pod is none of istio.principals" -}}
{{- end -}}
{{- range $place, $given := dict "commonLabels" .Values.commonLabels "pod.labels" .Values.pod.labels "pod.annotations" .Values.pod.annotations -}}
{{- $found := dict -}}
{{- range $key, $value := $given | default dict -}}
{{- if regexMatch "^(traffic\\.sidecar|proxy|ambient)\\.istio\\.io/|^istio\\.io/reroute|^sidecar\\.istio\\.io/interceptionMode$" $key -}}
{{- $_ := set $found $key true -}}
{{- else if or (and (eq $key "sidecar.istio.io/inject") (ne (toString $value) "true")) (and (eq $key "istio.io/dataplane-mode") (ne (toString $value) "ambient")) -}}
{{- $_ := set $found $key true -}}
{{- end -}}
{{- end -}}
{{- range $key := keys $found | sortAlpha -}}
{{- $wrong = append $wrong (printf "%s has %s: what is led past the mesh's proxy is held to none of istio.principals" $place $key) -}}
{{- end -}}
{{- end -}}
{{- else if and (eq .Values.mode "central") (ne (toJson $istio) (toJson (index (include "exequatur.defaults" . | fromYaml).central "istio"))) -}}
{{- $wrong = append $wrong "istio without istio.enabled would change nothing, or let in at ztunnel's port whom nobody holds to his" -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "exequatur.wrongEgress" -}}
{{- $wrong := list -}}
{{- $egress := .Values.networkPolicy.egress -}}
{{- $config := .Values.config -}}
{{- if and .Values.networkPolicy.enabled $egress.enabled -}}
{{- if and (dig "store" "redis" "" $config) (not $egress.redis.to) -}}
{{- $wrong = append $wrong "networkPolicy.egress.redis.to is empty: no pod would reach the store, so each request would be refused" -}}
{{- end -}}
{{- $outside := false -}}
{{- range concat ($config.issuers | default list) ($config.signals | default list) -}}
{{- /* Keys that are in a file, and nothing else to ask. */ -}}
{{- if or (not (dig "file" "" (ternary .jwks dict (kindIs "map" .jwks)))) (hasKey . "introspection") (hasKey . "status_lists") (dig "delivery" "poll" "" .) -}}
{{- $outside = true -}}
{{- end -}}
{{- end -}}
{{- if and $outside (not $egress.issuers.to) -}}
{{- $wrong = append $wrong "networkPolicy.egress.issuers.to is empty: no pod would get the issuers' keys and be ready, or hear of anybody else's" -}}
{{- end -}}
{{- if and (or $config.traces (dig "records" "sinks" "" $config)) (not $egress.telemetry.to) -}}
{{- $wrong = append $wrong "networkPolicy.egress.telemetry.to is empty: config.traces and config.records.sinks would reach nobody" -}}
{{- end -}}
{{- range $place, $other := $egress.others -}}
{{- if not $other.to -}}
{{- $wrong = append $wrong (printf "networkPolicy.egress.others[%d].to is empty, which would be everywhere: name whom" $place) -}}
{{- end -}}
{{- end -}}
{{- else if and $egress.enabled (not .Values.networkPolicy.enabled) -}}
{{- $wrong = append $wrong "networkPolicy.egress.enabled without networkPolicy.enabled: nothing would be held back" -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "exequatur.wrongExtras" -}}
{{- $wrong := list -}}
{{- if and .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- $wrong = append $wrong "monitoring.podMonitor and monitoring.serviceMonitor are both enabled: everything would be counted twice" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- $wrong = append $wrong "serviceAccount.name is empty and none is created: a mesh could not tell these pods from others" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) .Values.serviceAccount.annotations -}}
{{- $wrong = append $wrong "serviceAccount.annotations are for one that is created" -}}
{{- end -}}
{{- if not (dig "limits" "memory" "" .Values.resources) -}}
{{- $wrong = append $wrong "resources.limits.memory is missing: one pod could take the memory of its node" -}}
{{- end -}}
{{- range $name, $_ := .Values.pod.annotations -}}
{{- if regexMatch "^(container[.])?(apparmor|seccomp)[.]security[.]" $name -}}
{{- $wrong = append $wrong (printf "pod.annotations has `%s`, which changes what the pod is held to" $name) -}}
{{- end -}}
{{- end -}}
{{- $ours := list "configuration" "sockets" "secrets" "admin" "grpc" "policies" "storage" "envoy" -}}
{{- $volumes := list -}}
{{- range .Values.extraVolumes -}}
{{- if or (has .name $ours) (has .name $volumes) -}}
{{- $wrong = append $wrong (printf "extraVolumes has `%s`, a volume that is there already" .name) -}}
{{- end -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- $mounted := list -}}
{{- range .Values.extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- $wrong = append $wrong (printf "extraVolumeMounts names `%s`, which is none of extraVolumes" .name) -}}
{{- end -}}
{{- if has .mountPath $mounted -}}
{{- $wrong = append $wrong (printf "extraVolumeMounts has %s twice" .mountPath) -}}
{{- end -}}
{{- $mounted = append $mounted .mountPath -}}
{{- end -}}
{{- /* Which code is loaded, and whom TLS trusts: not for the environment to say. */ -}}
{{- $forbidden := "^(LD_|GLIBC_|MALLOC_|_RJEM_|SSL_CERT_|SSLKEYLOG|PATH$)" -}}
{{- range .Values.extraEnv -}}
{{- if regexMatch $forbidden (upper .name) -}}
{{- $wrong = append $wrong (printf "extraEnv has `%s`, which changes what is run or trusted" .name) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnvFrom -}}
{{- if regexMatch "^(LD|GLIBC|MALLOC|SSL)_" .prefix -}}
{{- $wrong = append $wrong (printf "extraEnvFrom has the prefix `%s`, which changes what is run or trusted" .prefix) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- /* Values that the mode passes over: what differs from values.yaml (`exequatur.defaults`, made from it). */ -}}
{{- define "exequatur.wrongSidecar" -}}
{{- $wrong := list -}}
{{- $defaults := include "exequatur.defaults" . | fromYaml -}}
{{- $found := dict -}}
{{- if eq .Values.mode "sidecar" -}}
{{- include "exequatur.differing" (dict "at" "" "value" .Values "default" $defaults.central "found" $found) -}}
{{- range $key := list "grpc_tls" "grpc_peers" -}}
{{- if dig "listen" $key "" $.Values.config -}}{{- $_ := set $found (printf "config.listen.%s" $key) true -}}{{- end -}}
{{- end -}}
{{- range $key := keys $found | sortAlpha -}}
{{- $wrong = append $wrong (printf "%s is not for mode `sidecar`, where Envoy asks at a socket and the pod is somebody else's: it would change nothing" $key) -}}
{{- end -}}
{{- if eq (int .Values.sidecar.envoyUser) 65532 -}}
{{- $wrong = append $wrong "sidecar.envoyUser is 65532, as Exequatur's: the kernel could not tell them apart" -}}
{{- end -}}
{{- else -}}
{{- include "exequatur.differing" (dict "at" "" "value" .Values "default" $defaults.sidecar "found" $found) -}}
{{- range $key := keys $found | sortAlpha -}}
{{- $wrong = append $wrong (printf "%s is for mode `sidecar`: it would change nothing" $key) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- /* Gathers where `value` differs from `default`, under the keys that the default has. */ -}}
{{- define "exequatur.differing" -}}
{{- range $key, $default := .default -}}
{{- $at := printf "%s.%s" $.at $key | trimPrefix "." -}}
{{- $value := index $.value $key -}}
{{- if and $default (kindIs "map" $default) (kindIs "map" $value) -}}
{{- include "exequatur.differing" (dict "at" $at "value" $value "default" $default "found" $.found) -}}
{{- else if ne (toJson $value) (toJson $default) -}}
{{- $_ := set $.found $at true -}}
{{- end -}}
{{- end -}}
{{- end -}}
