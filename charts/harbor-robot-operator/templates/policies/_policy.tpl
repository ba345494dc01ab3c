{{/* The binding of a policy to the whole cluster. */}}
{{- define "harbor-robot-operator.policyBinding" -}}
{{- $root := index . 0 -}}{{- $what := index . 1 -}}{{- $actions := index . 2 -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ include "harbor-robot-operator.nameWith" (list $root $what) }}
  {{- include "harbor-robot-operator.metadata" $root | nindent 2 }}
spec:
  policyName: {{ include "harbor-robot-operator.nameWith" (list $root $what) }}
  validationActions: {{ $actions }}
{{- end -}}

{{/* Within a binding's spec, of policies that hold others: an operator of some namespaces has no say elsewhere. */}}
{{- define "harbor-robot-operator.whereServed" -}}
{{- with .Values.namespaces }}
  matchResources:
    namespaceSelector:
      matchExpressions:
      - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- end }}
{{- end -}}

{{/* Our kinds, with a tail for each, such as /status. Objects of the cluster fit every selector of namespaces. */}}
{{- define "harbor-robot-operator.kinds" -}}
{{- $root := index . 0 -}}{{- $kinds := index . 1 -}}{{- $tail := index . 2 -}}
{{- range $at, $kind := $kinds -}}
{{- if or (include "harbor-robot-operator.clusterRegistries" $root) (has $kind (list "robotaccounts" "harborregistries")) -}}
{{- if $at }}, {{ end }}{{ $kind }}{{ $tail }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* CEL: the operator. */}}
{{- define "harbor-robot-operator.isOperator" -}}
request.userInfo.username == '{{ include "harbor-robot-operator.username" . }}'
{{- end -}}

{{/* CEL: the operator, another operator of this cluster, or somebody who may do all. */}}
{{- define "harbor-robot-operator.isTrusted" -}}
request.userInfo.username in {{ concat (list (include "harbor-robot-operator.username" .)) .Values.policies.operators | toJson | replace "\"" "'" }}
{{- with .Values.policies.breakGlassGroups }}
|| request.userInfo.?groups.orValue([]).exists(group, group in {{ toJson . | replace "\"" "'" }})
{{- end -}}
{{- end -}}
