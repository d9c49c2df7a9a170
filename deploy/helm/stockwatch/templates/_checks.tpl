{{- define "stockwatch.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}

{{/* Refuses values that the schema cannot judge. Takes root, name, about, program and variables. */}}
{{- define "stockwatch.check" -}}
{{- $port := index .variables .about.port | default "" -}}
{{- if not (include "stockwatch.port" $port | int) -}}
{{- fail (printf "env.%s is %q: it must name a port, because probes use it" .about.port $port) -}}
{{- end -}}
{{- if .about.partitions -}}
{{- $partitions := default "4" .variables.KAFKA_TOPIC_PARTITIONS | int -}}
{{- if gt (int .program.replicas) $partitions -}}
{{- fail (printf "%s.replicas is %d, more than the %d partitions of the topic: set env.KAFKA_TOPIC_PARTITIONS if it has more" .name (int .program.replicas) $partitions) -}}
{{- end -}}
{{- end -}}
{{- if and .variables.KAFKA_GROUP_INSTANCE_ID (eq .name "processor") -}}
{{- fail "KAFKA_GROUP_INSTANCE_ID must be another one for each processor, so the chart cannot set it for all" -}}
{{- end -}}
{{- if eq .name "gateway" -}}
{{- include "stockwatch.checkGateway" . -}}
{{- end -}}
{{- end -}}

{{- define "stockwatch.checkGateway" -}}
{{- $scaling := .program.autoscaling -}}
{{- $limit := default "1000" .variables.GATEWAY_MAX_CONNECTIONS | int -}}
{{- if and $scaling.enabled $limit (ge (int $scaling.connections) $limit) -}}
{{- fail (printf "gateway.autoscaling.connections is %d, not below GATEWAY_MAX_CONNECTIONS (%d): pods would refuse sockets before more pods start" (int $scaling.connections) $limit) -}}
{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail "gateway.autoscaling.minReplicas is more than maxReplicas" -}}
{{- end -}}
{{- if and (or .root.Values.ingress.enabled .root.Values.httpRoute.enabled) (not .variables.GATEWAY_TRUSTED_PROXIES) -}}
{{- fail "set env.GATEWAY_TRUSTED_PROXIES to the network of the proxy's pods: otherwise all visitors share the limits of one address" -}}
{{- end -}}
{{- end -}}
