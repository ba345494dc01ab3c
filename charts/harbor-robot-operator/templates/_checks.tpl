{{/* What the schema cannot say: combinations of values that would leave a half-installed operator. */}}
{{- define "harbor-robot-operator.checks" -}}
{{- if and .Values.namespaces (not (include "harbor-robot-operator.clusterRegistries" .)) (not .Values.clusterName) -}}
{{- fail "clusterName: with `namespaces` and without clusterRegistries the operator may not read the namespace kube-system, whose UID would name the cluster in Harbor: choose a name that no other cluster with robots in the same Harbor has, and keep it" -}}
{{- end -}}
{{- if and .Values.registries (not (include "harbor-robot-operator.clusterRegistries" .)) -}}
{{- fail "registries: with `namespaces` ClusterHarborRegistries are only served with clusterRegistries=true" -}}
{{- end -}}
{{- if and (gt (int64 .Values.replicas) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "leaderElection.enabled: with more than one replica only a leader may act; set it to true, or replicas to 1" -}}
{{- end -}}
{{- if and .Values.metrics.authentication (not .Values.metrics.enabled) -}}
{{- fail "metrics.authentication: set metrics.enabled=true, too; else nobody outside the pod reaches the metrics" -}}
{{- end -}}
{{- range $kind, $values := dict "ServiceMonitor" .Values.metrics.serviceMonitor "PodMonitor" .Values.metrics.podMonitor -}}
{{- if $values.enabled -}}
{{- $value := printf "metrics.%s%s.enabled" (lower (substr 0 1 $kind)) (substr 1 -1 $kind) -}}
{{- if not $.Values.metrics.enabled -}}
{{- fail (printf "%s: set metrics.enabled=true, too; else there is nothing to scrape" $value) -}}
{{- end -}}
{{- include "harbor-robot-operator.needsKind" (list $ $value $kind) -}}
{{- end -}}
{{- end -}}
{{- if .Values.metrics.prometheusRule.enabled -}}
{{- include "harbor-robot-operator.needsKind" (list . "metrics.prometheusRule.enabled" "PrometheusRule") -}}
{{- end -}}
{{- $defaults := list -}}
{{- range $name, $registry := .Values.registries -}}
{{- if $registry.default -}}{{- $defaults = append $defaults $name -}}{{- end -}}
{{- end -}}
{{- if gt (len $defaults) 1 -}}
{{- fail (printf "registries: %s are all the default; accounts without registryRef need one that is the only default" (join ", " $defaults)) -}}
{{- end -}}
{{- end -}}

{{/* Fails when a kind of the Prometheus operator is not there. Rendered without a cluster nothing is known of kinds. */}}
{{- define "harbor-robot-operator.needsKind" -}}
{{- $root := index . 0 -}}{{- $value := index . 1 -}}{{- $kind := index . 2 -}}
{{- if not ($root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" $kind)) -}}
{{- fail (printf "%s: this cluster has no kind %s (monitoring.coreos.com/v1): install the Prometheus operator first, or leave the value out; for `helm template` add --api-versions monitoring.coreos.com/v1/%s" $value $kind $kind) -}}
{{- end -}}
{{- end -}}
