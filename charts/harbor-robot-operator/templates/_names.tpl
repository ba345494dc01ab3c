{{/* The base of names: the release's, unless it says what the chart is anyway. At most 63 characters, as labels hold. */}}
{{- define "harbor-robot-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The same with a tail: (list ROOT TAIL). The base is cut where both do not fit. */}}
{{- define "harbor-robot-operator.nameWith" -}}
{{- $root := index . 0 -}}{{- $tail := index . 1 -}}
{{- $base := include "harbor-robot-operator.fullname" $root | trunc (int (sub 62 (len $tail))) | trimSuffix "-" -}}
{{- printf "%s-%s" $base $tail -}}
{{- end -}}

{{- define "harbor-robot-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "harbor-robot-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "harbor-robot-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount that is there, or set serviceAccount.create to true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Who the operator is to the API server. */}}
{{- define "harbor-robot-operator.username" -}}
{{- printf "system:serviceaccount:%s:%s" (include "harbor-robot-operator.namespace" .) (include "harbor-robot-operator.serviceAccountName" .) -}}
{{- end -}}

{{- define "harbor-robot-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "harbor-robot-operator.labels" -}}
{{ include "harbor-robot-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of an object of the chart, within its metadata. */}}
{{- define "harbor-robot-operator.metadata" -}}
labels:
  {{- include "harbor-robot-operator.labels" . | nindent 2 }}
{{- with .Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The operator as a subject of bindings. */}}
{{- define "harbor-robot-operator.subject" -}}
kind: ServiceAccount
name: {{ include "harbor-robot-operator.serviceAccountName" . }}
namespace: {{ include "harbor-robot-operator.namespace" . }}
{{- end -}}

{{/* Whether ClusterHarborRegistries are served: "true" or "". With Roles alone only where it is asked for. */}}
{{- define "harbor-robot-operator.clusterRegistries" -}}
{{- if kindIs "bool" .Values.clusterRegistries -}}
{{- ternary "true" "" .Values.clusterRegistries -}}
{{- else -}}
{{- ternary "" "true" (not (empty .Values.namespaces)) -}}
{{- end -}}
{{- end -}}

{{- define "harbor-robot-operator.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest -}}
@{{ .Values.image.digest }}
{{- else -}}
:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* Addresses of the cluster are written with commas on the command line. */}}
{{- define "harbor-robot-operator.args" -}}
- run
- --leader-elect={{ .Values.leaderElection.enabled }}
- --log-format={{ .Values.log.format }}
{{- if ne .Values.log.level "info" }}
- --log-level={{ .Values.log.level }}
{{- end }}
- --cluster-resource-namespace={{ include "harbor-robot-operator.namespace" . }}
{{- with .Values.namespaces }}
- --namespaces={{ join "," . }}
{{- end }}
{{- if not (include "harbor-robot-operator.clusterRegistries" .) }}
- --cluster-registries=false
{{- end }}
{{- with .Values.clusterName }}
- --cluster-name={{ . }}
{{- end }}
{{- with .Values.registrySelector }}
- --registry-selector={{ . }}
{{- end }}
{{- if not .Values.secrets.watch }}
- --watch-secrets=false
{{- end }}
{{- if .Values.allowHTTP }}
- --allow-http=true
{{- end }}
{{- with .Values.privateRegistryHosts }}
- --private-registry-hosts={{ join "," . }}
{{- end }}
{{- with .Values.deniedCIDRs }}
- --denied-cidrs={{ join "," . }}
{{- end }}
{{- with .Values.tenants.pollInterval }}
- --tenant-poll-interval={{ . }}
{{- end }}
{{- with .Values.tenants.requestsPerSecond }}
- --tenant-requests-per-second={{ int64 . }}
{{- end }}
{{- with .Values.tenants.maxInFlight }}
- --tenant-max-in-flight={{ int64 . }}
{{- end }}
{{- with .Values.tenants.registries }}
- --tenant-registries={{ int64 . }}
{{- end }}
{{- with .Values.concurrency }}
- --concurrency={{ int64 . }}
{{- end }}
{{- with .Values.leaderElection.leaseDuration }}
- --leader-elect-lease-duration={{ . }}
{{- end }}
{{- with .Values.leaderElection.renewDeadline }}
- --leader-elect-renew-deadline={{ . }}
{{- end }}
{{- with .Values.leaderElection.retryPeriod }}
- --leader-elect-retry-period={{ . }}
{{- end }}
{{- if ne (int64 .Values.ports.probes) 8080 }}
- --listen=0.0.0.0:{{ int64 .Values.ports.probes }}
{{- end }}
{{- if .Values.metrics.enabled }}
- --metrics-listen=0.0.0.0:{{ int64 .Values.ports.metrics }}
{{- else if ne (int64 .Values.ports.metrics) 8081 }}
- --metrics-listen=127.0.0.1:{{ int64 .Values.ports.metrics }}
{{- end }}
{{- if .Values.metrics.authentication }}
- --metrics-authentication
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
