"""What speaks to aggregators, a file a kind: its adapter (a `ports.AggregatorPort`) and how it calls back (a
`ports.CallbackPort`).

`settings` has what each kind is configured with, `factory` which classes belong to it. The adapters share `account`,
and over HTTP `request` and `statuses`. The kind `http-batch` is `http_batch` with `batch_answer`, `batch_callbacks`,
`lenient_json` and `signing`.
"""
