{{/* An endpoint of a ServiceMonitor or PodMonitor. */}}
{{- define "harbor-robot-operator.scrape" -}}
{{- $root := index . 0 -}}{{- $monitor := index . 1 -}}
port: metrics
{{- with $monitor.interval }}
interval: {{ . }}
{{- end }}
{{- with $monitor.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- if $root.Values.metrics.authentication }}
# With the token of whoever scrapes, which needs the role {{ include "harbor-robot-operator.nameWith" (list $root "metrics-reader") }}.
{{- end }}
{{- with $monitor.relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
