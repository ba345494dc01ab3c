{{/* Of a CustomResourceDefinition. Argo CD prunes what Helm would keep, unless it is told not to as well. */}}
{{- define "harbor-robot-operator.crdMetadata" -}}
labels:
  {{- include "harbor-robot-operator.labels" . | nindent 2 }}
{{- $keep := ternary (dict "helm.sh/resource-policy" "keep" "argocd.argoproj.io/sync-options" "Prune=false,Delete=false") (dict) .Values.crds.keep }}
{{- with mergeOverwrite $keep .Values.commonAnnotations .Values.crds.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
