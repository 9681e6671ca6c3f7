{{- /* Made by `manage.py chart`: change erip/ops/kubernetes/chart.py. */ -}}
{{- /* Settings of all processes. Addresses are of the first host, unless settings say more. */ -}}
{{- define "erip.settings" -}}
{{- $own := dict "ERIP_ALLOWED_HOSTS" (join "," .Values.hosts) -}}
{{- $_ := set $own "ERIP_PUBLIC_URL" (printf "https://%s" (first .Values.hosts)) -}}
{{- mergeOverwrite $own .Values.settings | toJson -}}
{{- end -}}
{{- /* The name ends with a hash of the content, as kustomize makes it: a changed setting replaces the pods. */ -}}
{{- define "erip.settingsName" -}}
{{- $content := printf `{"data":%s,"kind":"ConfigMap","name":""}` (include "erip.settings" .) -}}
{{- $hash := $content | sha256sum | trunc 10 -}}
{{- $hash = $hash | replace "0" "g" | replace "1" "h" | replace "3" "k" | replace "a" "m" | replace "e" "t" -}}
erip-settings-{{ $hash }}
{{- end -}}
