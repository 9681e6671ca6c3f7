{{- /* Made by `manage.py chart`: change erip/ops/kubernetes/chart.py. */ -}}
{{- /* Settings of all processes. Addresses are of the first host, unless settings say more. */ -}}
{{- define "erip.settings" -}}
{{- include "erip.examples" . -}}
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
{{- /* Values that are examples are no values of a production. */ -}}
{{- define "erip.examples" -}}
{{- $wrong := list -}}
{{- if regexMatch `(?i)(^|[^a-z0-9-])(example[.](org|com|net)|[a-z0-9-]+[.](example|invalid|test))[.]?(:[0-9]+)?([^a-z0-9.-]|$)` ((dig "hosts" nil (.Values | toJson | fromJson)) | toJson) -}}{{- $wrong = append $wrong "hosts: put the names under which people reach it" -}}{{- end -}}
{{- if regexMatch `(?i)(^|[^a-z0-9-])(example[.](org|com|net)|[a-z0-9-]+[.](example|invalid|test))[.]?(:[0-9]+)?([^a-z0-9.-]|$)` ((dig "image" "repository" nil (.Values | toJson | fromJson)) | toJson) -}}{{- $wrong = append $wrong "image.repository: put the registry in which your image is" -}}{{- end -}}
{{- if not (regexMatch `@sha256:[0-9a-f]{64}"$` ((dig "image" "tag" nil (.Values | toJson | fromJson)) | toJson)) -}}{{- $wrong = append $wrong "image.tag: put the tag with the digest of your image, such as 0.1.0@sha256:…, for a tag may be moved" -}}{{- end -}}
{{- if regexMatch `^(null|""|"10[.]0[.]0[.]0/16")$` ((dig "settings" "ERIP_TRUSTED_PROXIES" nil (.Values | toJson | fromJson)) | toJson) -}}{{- $wrong = append $wrong "settings.ERIP_TRUSTED_PROXIES: put the addresses of your ingress, and no others (if they are this network, name its halves)" -}}{{- end -}}
{{- if regexMatch `(?i)(^|[^a-z0-9-])(example[.](org|com|net)|[a-z0-9-]+[.](example|invalid|test))[.]?(:[0-9]+)?([^a-z0-9.-]|$)` ((dig "settings" "ERIP_ALLOWED_HOSTS" nil (.Values | toJson | fromJson)) | toJson) -}}{{- $wrong = append $wrong "settings.ERIP_ALLOWED_HOSTS: put your hosts" -}}{{- end -}}
{{- if regexMatch `(?i)(^|[^a-z0-9-])(example[.](org|com|net)|[a-z0-9-]+[.](example|invalid|test))[.]?(:[0-9]+)?([^a-z0-9.-]|$)` ((dig "settings" "ERIP_PUBLIC_URL" nil (.Values | toJson | fromJson)) | toJson) -}}{{- $wrong = append $wrong "settings.ERIP_PUBLIC_URL: put your address" -}}{{- end -}}
{{- if and .Values.components.cloudnativePg (regexMatch `(?i)(^|[^a-z0-9-])(example[.](org|com|net)|[a-z0-9-]+[.](example|invalid|test))[.]?(:[0-9]+)?([^a-z0-9.-]|$)` ((dig "postgres" "backup" "store" "destinationPath" nil (.Values | toJson | fromJson)) | toJson)) -}}{{- $wrong = append $wrong "postgres.backup.store.destinationPath: put your bucket" -}}{{- end -}}
{{- if and .Values.production $wrong -}}
{{- fail (printf "\nthese values are examples, or lacking (for a trial: production: false):\n- %s" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}
