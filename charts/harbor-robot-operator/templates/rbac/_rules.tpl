{{/* The generated pull Secrets; logins of namespaces' own registries are read by name. */}}
{{- define "harbor-robot-operator.secretVerbs" -}}
{{- if .Values.secrets.watch -}}
[get, list, watch, create, update, delete]
{{- else -}}
[get, create, update, delete]
{{- end -}}
{{- end -}}

{{/* What the operator does in a namespace that it serves, besides its own kinds. */}}
{{- define "harbor-robot-operator.namespaceRules" -}}
# The generated pull Secrets; logins of namespaces' own registries are read by name.
- apiGroups: [""]
  resources: [secrets]
  verbs: {{ include "harbor-robot-operator.secretVerbs" . }}
# CA bundles of namespaces' own registries.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* Logins and CA bundles of the cluster's registries. */}}
{{- define "harbor-robot-operator.loginRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
{{- end -}}
