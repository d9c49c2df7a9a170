{{/* The programs. `port` names the variable with the port of /livez, /readyz and /metrics. A program with `single` must
not run twice, and one with `partitions` runs at most once per partition of the topic: see docs/operations.md. */}}
{{- define "stockwatch.programs" -}}
gateway: {command: rungateway, port: APP_PORT, serves: true}
web: {command: rungateway, port: APP_PORT, serves: true}
processor: {command: runprocessor, port: PROCESSOR_METRICS_PORT, partitions: true}
recorder: {command: runrecorder, port: RECORDER_METRICS_PORT, single: true}
feed: {command: runfeed, port: FEED_METRICS_PORT, single: true}
generator: {command: runkafkagen, port: GENERATOR_METRICS_PORT, single: true}
alerts: {command: runalerts, port: ALERTS_METRICS_PORT, partitions: true}
delivery: {command: rundelivery, port: DELIVERY_METRICS_PORT}
{{- end -}}

{{- define "stockwatch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of all objects. Takes root and component. */}}
{{- define "stockwatch.labels" -}}
{{ include "stockwatch.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "stockwatch.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "stockwatch.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "stockwatch.serviceAccount" -}}
{{- default (ternary (include "stockwatch.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Name of the Service for pages. */}}
{{- define "stockwatch.pages" -}}
{{- printf "%s-%s" (include "stockwatch.fullname" .) (ternary "web" "gateway" .Values.web.enabled) -}}
{{- end -}}

{{/* The variables of a program by name, as YAML. Takes root and program, which may be absent. */}}
{{- define "stockwatch.variables" -}}
{{- $origin := printf "https://%s" .root.Values.host -}}
{{- $derived := dict
  "ALLOWED_HOSTS" (printf "%s,localhost" .root.Values.host)
  "CSRF_TRUSTED_ORIGINS" $origin
  "GATEWAY_ALLOWED_ORIGINS" $origin
  "SITE_URL" $origin -}}
{{- toYaml (merge (dict) (default (dict) .program.env) .root.Values.env $derived) -}}
{{- end -}}

{{/* The environment of a container. Takes root and program. */}}
{{- define "stockwatch.environment" -}}
envFrom:
  - secretRef:
      name: {{ .root.Values.existingSecret }}
env:
  {{- range $name, $value := fromYaml (include "stockwatch.variables" .) }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- with .root.Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* A duration such as 1m30s in whole seconds, rounded up. */}}
{{- define "stockwatch.seconds" -}}
{{- $units := dict "h" 3600.0 "m" 60.0 "s" 1.0 "ms" 0.001 "us" 0.000001 "µs" 0.000001 "ns" 0.000000001 -}}
{{- $total := 0.0 -}}
{{- range regexFindAll "[0-9.]+(h|ms|m|s|us|µs|ns)" . -1 -}}
{{- $number := regexFind "[0-9.]+" . -}}
{{- $total = addf $total (mulf (float64 $number) (get $units (trimPrefix $number .))) -}}
{{- end -}}
{{- $total | ceil | int -}}
{{- end -}}

{{/* The time in which a pod of gateway or web ends: the preStop sleep, the longest drain, and 15 s for closing
handshakes and child processes. Takes the variables of the program. */}}
{{- define "stockwatch.gracePeriod" -}}
{{- $shortest := include "stockwatch.seconds" (default "5s" .variables.GATEWAY_DRAIN) | int -}}
{{- $longest := include "stockwatch.seconds" (default "60s" .variables.GATEWAY_MAX_DRAIN) | int -}}
{{- add .root.Values.preStopSeconds (max $shortest $longest) 15 -}}
{{- end -}}

{{/* The part of a pod that all programs, the migration and the purge share. Takes root and component. */}}
{{- define "stockwatch.pod" -}}
serviceAccountName: {{ .serviceAccount | default (include "stockwatch.serviceAccount" .root) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  # The gateway keeps the sockets of its processes here.
  - name: tmp
    emptyDir:
      sizeLimit: 256Mi
  {{- with .root.Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The part of a container that all programs, the migration and the purge share. Takes root and program. */}}
{{- define "stockwatch.container" -}}
image: {{ include "stockwatch.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
{{ include "stockwatch.environment" . }}
resources:
  {{- toYaml .program.resources | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with .root.Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
