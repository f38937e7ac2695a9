/// Which of Envoy's statistics a sidecar keeps, and how they become Prometheus series.
///
/// Memory and scrape cost grow with the number of statistics, so only what Heddle's evidence, its readiness gates or a
/// person at three in the morning needs is created at all.
enum BootstrapStats {
    /// Upper bounds of the latency histograms' buckets, in milliseconds.
    static let latencyBounds: [Double] = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000]

    static let keptPrefixes = [
        // The stats access logger's request metrics.
        "heddle.", "tracing.",
        "server.live", "server.state", "server.memory", "server.uptime", "server.days_until",
        "server.total_connections",
        "control_plane.", "cluster_manager.", "listener_manager.", "tls_inspector.",
        "http.inbound_", "http.outbound_", "tcp.inbound_", "tcp.outbound_",
    ]

    static let keptPatterns = [
        #"cluster\..*\.upstream_rq_([0-9]{3}|[1-5]xx|time|total|retry.*|timeout|active|pending_.*|rx_reset)$"#,
        #"cluster\..*\.upstream_cx_(active|total|connect_fail|connect_timeout|overflow)$"#,
        #"cluster\..*\.(membership_(healthy|total)|outlier_detection\.ejections_.*)$"#,
        #"(listener|cluster)\..*\.ssl\.(handshake|connection_error|fail_verify_.*)$"#,
        #"listener\..*\.(no_filter_chain_match|downstream_cx_(total|active))$"#,
        #".*\.rbac\..*"#,
        #".*local_rate_limit\..*"#,
        #".*\.update_(success|rejected)$"#,
    ]

    static var document: BootstrapJSON {
        let prefixes: [BootstrapJSON] = keptPrefixes.map { ["prefix": .string($0)] }
        let patterns: [BootstrapJSON] = keptPatterns.map { ["safe_regex": ["regex": .string($0)]] }
        return [
            "stats_matcher": ["inclusion_list": ["patterns": .array(prefixes + patterns)]],
            "use_all_default_tags": false,
            "stats_tags": .array(tags.map { ["tag_name": .string($0.name), "regex": .string($0.regex)] }),
            "histogram_bucket_settings": [
                buckets(["suffix": "upstream_rq_time"]),
                buckets(["prefix": "heddle.request_duration"]),
            ],
        ]
    }

    /// Envoy's own tag names (so that stock dashboards work), with expressions that know our cluster names: Envoy's
    /// default ends a cluster's name at its first dot, and `outbound|80||cart.shop.svc.cluster.local` has four.
    private static let tags: [(name: String, regex: String)] = [
        ("envoy.response_code", #"_rq(_([0-9]{3}))$"#),
        ("envoy.response_code_class", #"_rq_(([1-5]))xx$"#),
        ("envoy.cluster_name", #"^cluster\.((.+?)\.)(?:upstream_|membership_|outlier_|ssl\.|update_|circuit_)"#),
        ("envoy.http_conn_manager_prefix", #"^http\.((.+?)\.)"#),
        ("envoy.tcp_prefix", #"^tcp\.((.+?)\.)"#),
        ("envoy.listener_address", #"^listener\.((.+?)\.)(?:downstream_|ssl\.|no_filter_chain_match)"#),
    ]

    private static func buckets(_ match: BootstrapJSON) -> BootstrapJSON {
        ["match": match, "buckets": .array(latencyBounds.map { .double($0) })]
    }
}
