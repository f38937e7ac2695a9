{{/* Selector labels: never changed, since a Deployment's selector cannot be. */}}
{{- define "heddle.selector" -}}
app.kubernetes.io/name: heddle
app.kubernetes.io/component: operator
{{- end }}

{{- define "heddle.labels" -}}
{{ include "heddle.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Keeps the webhooks out of the system's namespaces and Heddle's own. */}}
{{- define "heddle.excluded" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{ append .Values.excludedNamespaces .Release.Namespace | uniq | toJson }}
{{- end }}

{{/* How the API server reaches a webhook: (list . "/path"). */}}
{{- define "heddle.client" -}}
service:
  name: heddle-operator
  namespace: {{ (index . 0).Release.Namespace }}
  path: {{ index . 1 }}
  port: 443
{{- end }}
