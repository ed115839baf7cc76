{{- /* The spec of a pod with Exequatur in it, beside Envoy:
  include "exequatur.sidecar" (dict "exequatur" .Subcharts.exequatur "replicas" 1 "pod" $spec)
Of the pod it takes the spec as a map, and gives it back as YAML, or fails: several replicas need a store that they share, and the socket has to be Envoy's alone, by what is
mounted and by the users that the kernel tells apart. */ -}}
{{- define "exequatur.sidecar" -}}
{{- $root := .exequatur -}}
{{- $pod := deepCopy .pod -}}
{{- $wrong := include "exequatur.wrongPod" (dict "root" $root "pod" $pod "replicas" .replicas) | fromJsonArray -}}
{{- if $wrong -}}
{{- fail (printf "\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- $container := include "exequatur.container" $root | fromYaml -}}
{{- range $container.volumeMounts -}}
{{- $_ := set . "name" (printf "exequatur-%s" .name) -}}
{{- end -}}
{{- /* What the Deployment says of its pod: here the pod is somebody else's. */ -}}
{{- $user := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $_ := set $container "securityContext" (merge $container.securityContext $user) -}}
{{- /* Read-only: it may connect, and not put another socket in its place. */ -}}
{{- $mount := dict "name" "exequatur-envoy" "mountPath" (include "exequatur.shared" $root) "readOnly" true -}}
{{- range concat ($pod.containers | default list) ($pod.initContainers | default list) -}}
{{- if eq .name $root.Values.sidecar.envoy -}}
{{- $_ := set . "volumeMounts" (append (.volumeMounts | default list) $mount) -}}
{{- end -}}
{{- end -}}
{{- $containers := $pod.containers | default list -}}
{{- $before := list -}}
{{- range $pod.initContainers -}}
{{- if eq .name $root.Values.sidecar.envoy -}}
{{- /* An Envoy that starts before the others and ends after them: so does what it asks, and around it. */ -}}
{{- $before = append $before (set $container "restartPolicy" "Always") -}}
{{- end -}}
{{- $before = append $before . -}}
{{- end -}}
{{- if hasKey $container "restartPolicy" -}}
{{- $_ := set $pod "initContainers" $before -}}
{{- else -}}
{{- $containers = prepend $containers $container -}}
{{- end -}}
{{- $volumes := $pod.volumes | default list -}}
{{- range include "exequatur.volumes" $root | fromYamlArray -}}
{{- $volumes = append $volumes (set . "name" (printf "exequatur-%s" .name)) -}}
{{- end -}}
{{- /* The group that may read files from Secrets. */ -}}
{{- $security := merge ($pod.securityContext | default dict) (dict "fsGroup" 65532) -}}
{{- $grace := $pod.terminationGracePeriodSeconds | default 30 -}}
{{- $_ := set $pod "containers" $containers -}}
{{- $_ := set $pod "volumes" $volumes -}}
{{- $pulled := $pod.imagePullSecrets | default list -}}
{{- range $root.Values.image.pullSecrets -}}
{{- $pulled = append $pulled (dict "name" .) -}}
{{- end -}}
{{- if $pulled -}}
{{- $_ := set $pod "imagePullSecrets" $pulled -}}
{{- end -}}
{{- $_ := set $pod "securityContext" $security -}}
{{- $_ := set $pod "terminationGracePeriodSeconds" $grace -}}
{{- toYaml $pod -}}
{{- end -}}

{{- /* A digest of what Exequatur reads at its start only: for an annotation of the pod. */ -}}
{{- define "exequatur.sidecar.checksum" -}}
{{- include "exequatur.fixed" .exequatur -}}
{{- end -}}

{{- /* What of a pod would let others than Envoy ask, or become Envoy or Exequatur. */ -}}
{{- define "exequatur.wrongPod" -}}
{{- $wrong := list -}}
{{- $pod := .pod -}}
{{- $envoy := .root.Values.sidecar.envoy -}}
{{- $user := int .root.Values.sidecar.envoyUser -}}
{{- if ne .root.Values.mode "sidecar" -}}
{{- $wrong = append $wrong "mode is not `sidecar`: the configuration listens on the network" -}}
{{- end -}}
{{- if not .replicas -}}
{{- $wrong = append $wrong "`replicas` is not given to the template: how many of these pods there are, or may be" -}}
{{- else if and (gt (int .replicas) 1) (not (dig "store" "redis" "" .root.Values.config)) -}}
{{- $wrong = append $wrong (printf "replicas is %d and there is no config.store.redis: with the embedded store a proof would pass once in each pod" (int .replicas)) -}}
{{- end -}}
{{- if and (gt (int .replicas) 1) (dig "replica" "name" "" .root.Values.config) -}}
{{- $wrong = append $wrong (printf "config.replica.name would be the name of %d replicas: leave it out, and each is called as its pod" (int .replicas)) -}}
{{- end -}}
{{- range $key := list "hostPID" "hostNetwork" "hostIPC" -}}
{{- if index $pod $key -}}
{{- $wrong = append $wrong (printf "the pod has %s: processes of the node would stand beside Envoy" $key) -}}
{{- end -}}
{{- end -}}
{{- range $pod.volumes -}}
{{- if hasPrefix "exequatur-" .name -}}
{{- $wrong = append $wrong (printf "the pod has a volume `%s`: names that begin so are Exequatur's" .name) -}}
{{- end -}}
{{- if hasKey . "hostPath" -}}
{{- $wrong = append $wrong (printf "the volume `%s` is of the node, where every volume's files are" .name) -}}
{{- end -}}
{{- end -}}
{{- /* 5 s of `preStop`, and 18 s that a stop takes at most. */ -}}
{{- if lt (int ($pod.terminationGracePeriodSeconds | default 30)) 23 -}}
{{- $wrong = append $wrong "terminationGracePeriodSeconds is less than the 23 that Exequatur needs to end" -}}
{{- end -}}
{{- range $pod.initContainers -}}
{{- if eq .name $envoy -}}
{{- if ne (toString (get . "restartPolicy")) "Always" -}}
{{- $wrong = append $wrong (printf "the init container `%s` does not say restartPolicy: Always, so it ends before anybody can be asked about" .name) -}}
{{- else if semverCompare "<1.29.0-0" $.root.Capabilities.KubeVersion.Version -}}
{{- $wrong = append $wrong (printf "the init container `%s` has restartPolicy: Always, which Kubernetes has since 1.29" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $found := false -}}
{{- $general := $pod.securityContext | default dict -}}
{{- range concat ($pod.containers | default list) ($pod.initContainers | default list) -}}
{{- $name := .name -}}
{{- $security := .securityContext | default dict -}}
{{- $as := int (ternary (get $security "runAsUser") (get $general "runAsUser" | default 0) (hasKey $security "runAsUser")) -}}
{{- if eq $name "exequatur" -}}
{{- $wrong = append $wrong "the pod has a container `exequatur` already" -}}
{{- end -}}
{{- if eq $name $envoy -}}
{{- if $found -}}
{{- $wrong = append $wrong (printf "the pod has two containers `%s`" $name) -}}
{{- end -}}
{{- $found = true -}}
{{- if ne $as $user -}}
{{- $wrong = append $wrong (printf "the container `%s` runs as %d, and sidecar.envoyUser is %d, whom alone Exequatur answers" $name $as $user) -}}
{{- end -}}
{{- else if eq $as 0 -}}
{{- $wrong = append $wrong (printf "the container `%s` has no runAsUser, or runs as root, who may ask: say as whom it runs" $name) -}}
{{- else if or (eq $as $user) (eq $as 65532) -}}
{{- $whose := ternary "Envoy" "Exequatur" (eq $as $user) -}}
{{- $how := ternary "the processes share a namespace (shareProcessNamespace), so it reads and changes all that the other has" "the kernel could not tell them apart" (eq (toString $pod.shareProcessNamespace) "true") -}}
{{- $wrong = append $wrong (printf "the container `%s` runs as %d, as %s does: %s" $name $as $whose $how) -}}
{{- end -}}
{{- if ne (toString (get $security "allowPrivilegeEscalation")) "false" -}}
{{- $wrong = append $wrong (printf "the container `%s` does not say allowPrivilegeEscalation: false, so it might become another user" $name) -}}
{{- end -}}
{{- if or (get $security "privileged") (without (dig "capabilities" "add" list $security) "NET_BIND_SERVICE") -}}
{{- $wrong = append $wrong (printf "the container `%s` is privileged or has capabilities, by which it could become another user" $name) -}}
{{- end -}}
{{- range .volumeMounts -}}
{{- if hasPrefix "exequatur-" .name -}}
{{- $wrong = append $wrong (printf "the container `%s` mounts `%s`: Exequatur's volumes are mounted by this template, the socket's for Envoy alone" $name .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $found -}}
{{- $wrong = append $wrong (printf "the pod has no container `%s` (sidecar.envoy)" $envoy) -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
