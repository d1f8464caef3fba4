"""Texts of job files that are good: the least a job needs, one with every key, and single sections."""

MINIMAL = "version: 1\nname: autumn\nimages:\n  - url: https://cdn.example.com/1001.jpg\n"

WHOLE = """\
version: 1
name: autumn-portfolio
root: .
images:
  - id: "SKU-1001"
    url: https://cdn.example.com/1001.jpg
    labels: {client: acme, market: US}
  - path: photos/*.jpg
  - manifest: portfolio.csv
    columns: {id: SKU, url: "Main picture", labels: [client, market]}
    encoding: gb18030
upload: {public: false, fit: false}
search:
  endpoint: P009
  limit: 100
  filters: {}
  min_score: 0.0
task:
  enabled: true
  report_lang: en
  country: [US, EU, CN]
  max_hits: 100
  report: off
api:
  base_url: https://connect.patsnap.com
  qps: 5
  max_in_flight: 120
  budget: {search_calls: 10000, create_calls: 10000}
  on_in_doubt: hold
  drain_s: 60
  proxy: null
  ca_file: null
output:
  dir: runs
  run: "{name}"
  hits: all
"""
P060 = MINIMAL + "search:\n  endpoint: P060\n"

# Sections to put behind MINIMAL, by what is special about them.
GOOD: list[tuple[str, str]] = [
    ("limit 1", "search: {limit: 1}"),
    ("limit 100", "search: {limit: 100}"),
    ("min_score 0", "search: {min_score: 0}"),
    ("min_score 1", "search: {min_score: 1}"),
    ("min_score as a fraction", "search: {min_score: .75}"),
    ("an empty optional key", "search: {filters: {legal_status: }}"),
    ("codes as text", "search: {filters: {legal_status: '1, 3'}}"),
    ("codes as numbers", "search: {filters: {legal_status: [1, 222]}}"),
    ("one code", "search: {filters: {legal_status: 3}}"),
    ("locarno", "search: {filters: {loc: '(06-01 OR 06-02) NOT 07'}}"),
    ("a day", "search: {filters: {apply_start_time: '20240229'}}"),
    ("offset", "search: {filters: {offset: 1000}}\ntask: {enabled: false}"),
    ("sort without tasks", "search: {filters: {field: PBD, order: asc}}\ntask: {enabled: false}"),
    ("order desc with tasks", "search: {filters: {order: desc}}"),
    ("max_hits 1", "task: {max_hits: 1}"),
    ("cn", "task: {report_lang: cn}"),
    ("report off", "task: {report: 'off'}"),
    ("qps below 1", "api: {qps: 0.5}"),
    ("qps 1000000", "api: {qps: 1_000_000}"),
    ("qps by kind", "api: {qps: {search: 50, create: 0.1}}"),
    ("sandbox", "api: {base_url: sandbox}"),
    ("loopback", "api: {base_url: 'http://127.0.0.1:8080'}"),
    ("loopback 6", "api: {base_url: 'http://[::1]:8080/'}"),
    ("localhost", "api: {base_url: 'http://localhost:1'}"),
    ("proxy", "api: {proxy: 'http://proxy.example:3128'}"),
    ("budget 0", "api: {budget: {upload_calls: 0}}"),
    ("drain at once", "api: {drain_s: 0}"),
    ("max_in_flight", "api: {max_in_flight: 10000}"),
    ("run by week", "output: {run: '{name}-{week}'}"),
    ("no hits kept", "output: {hits: 0}"),
    ("100 hits kept", "output: {hits: 100}"),
    ("uploads allowed", "upload: {public: true}"),
    ("many machines", "cluster: {shared: /mnt/screening}"),
    ("many machines, all said", "cluster: {shared: shared, shards: 4096, lease_s: 2.5, same_picture: source}"),
]
