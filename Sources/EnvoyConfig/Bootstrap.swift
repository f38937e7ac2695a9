/// What one sidecar's Envoy starts with: who it is, where its control plane is, and what it counts.
///
/// Pure: ``json`` depends on nothing but the values here. Everything about traffic comes later, over xDS.
package struct SidecarBootstrap: Equatable, Sendable {
    /// Host and port of a server, as in `heddle-operator.heddle-system.svc:15012`.
    package struct Address: Equatable, Sendable {
        package var host: String
        package var port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    package var namespace: String
    package var podName: String
    package var podIP: String
    package var nodeName: String
    package var serviceAccount: String
    package var labels: [String: String]
    /// The xDS server, dialled with mutual TLS.
    package var discovery: Address
    /// DNS name that the xDS server's certificate must carry.
    package var discoveryServerName: String
    package var files: SidecarFiles
    package var adminPort: Int
    package var statsPort: Int
    /// Connections from clients that Envoy holds at most; further ones are refused.
    package var maxDownstreamConnections: Int

    package init(
        namespace: String, podName: String, podIP: String, nodeName: String, serviceAccount: String,
        labels: [String: String], discovery: Address, discoveryServerName: String? = nil,
        files: SidecarFiles = .standard, adminPort: Int = 15000, statsPort: Int = 15090,
        maxDownstreamConnections: Int = 20_000
    ) {
        self.namespace = namespace
        self.podName = podName
        self.podIP = podIP
        self.nodeName = nodeName
        self.serviceAccount = serviceAccount
        self.labels = labels
        self.discovery = discovery
        self.discoveryServerName = discoveryServerName ?? discovery.host
        self.files = files
        self.adminPort = adminPort
        self.statsPort = statsPort
        self.maxDownstreamConnections = maxDownstreamConnections
    }

    /// `sidecar~<podIP>~<pod>.<namespace>`; the xDS server checks it against the certificate.
    package var nodeID: String { "sidecar~\(podIP)~\(podName).\(namespace)" }

    /// `<app>.<namespace>`, the app being the usual label or else the service account.
    package var nodeCluster: String {
        let app = labels["app.kubernetes.io/name"] ?? labels["app"] ?? serviceAccount
        return "\(app).\(namespace)"
    }

    /// The bootstrap file's text.
    package var json: String { document.text }

    package var document: BootstrapJSON {
        [
            "node": node,
            "admin": ["address": Self.socket("127.0.0.1", adminPort), "ignore_global_conn_limit": true],
            "dynamic_resources": dynamicResources,
            "static_resources": [
                "clusters": [discoveryCluster, adminCluster],
                "listeners": [statsListener],
            ],
            "stats_config": BootstrapStats.document,
            "stats_flush_interval": "1s",
            "deferred_stat_options": ["enable_deferred_creation_stats": true],
            "cluster_manager": [
                "enable_deferred_cluster_creation": true,
                // Says nothing until the server asks.
                "load_stats_config": [
                    "api_type": "GRPC", "transport_api_version": "V3",
                    "grpc_services": [["envoy_grpc": ["cluster_name": "xds"]]],
                ],
            ],
            "overload_manager": overloadManager,
            "layered_runtime": [
                "layers": [
                    [
                        "name": "static",
                        "static_layer": [
                            // Else a request that ends in a second in which none begins is never reported.
                            "envoy.reloadable_features.report_load_for_non_zero_stats": true
                        ],
                    ],
                    ["name": "admin", "admin_layer": [:]],
                ]
            ],
        ]
    }

    private var node: BootstrapJSON {
        [
            "id": .string(nodeID),
            "cluster": .string(nodeCluster),
            "metadata": [
                "NAMESPACE": .string(namespace),
                "POD_NAME": .string(podName),
                "POD_IP": .string(podIP),
                "NODE_NAME": .string(nodeName),
                "SERVICE_ACCOUNT": .string(serviceAccount),
                "LABELS": .object(labels.mapValues { .string($0) }),
            ],
        ]
    }

    /// Envoy waits for its first clusters and listeners without limit: a sidecar without configuration is not ready.
    private var dynamicResources: BootstrapJSON {
        let ads: BootstrapJSON = ["ads": [:], "resource_api_version": "V3", "initial_fetch_timeout": "0s"]
        return [
            "ads_config": [
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [["envoy_grpc": ["cluster_name": "xds"]]],
            ],
            "cds_config": ads,
            "lds_config": ads,
        ]
    }

    private var discoveryCluster: BootstrapJSON {
        [
            "name": "xds",
            "cluster_type": [
                "name": "envoy.cluster.dns",
                "typed_config": [
                    "@type": .string(Self.typeURL("envoy.extensions.clusters.dns.v3.DnsCluster")),
                    "dns_lookup_family": "V4_PREFERRED",
                    "dns_refresh_rate": "5s",
                    "dns_failure_refresh_rate": ["base_interval": "0.5s", "max_interval": "5s"],
                    "respect_dns_ttl": true,
                ],
            ],
            "connect_timeout": "2s",
            "load_assignment": Self.endpoint("xds", discovery.host, discovery.port),
            "typed_extension_protocol_options": [
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": [
                    "@type": .string(Self.typeURL("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")),
                    "explicit_http_config": [
                        "http2_protocol_options": ["connection_keepalive": ["interval": "30s", "timeout": "5s"]]
                    ],
                ]
            ],
            "transport_socket": discoveryTLS,
        ]
    }

    /// Mutual TLS to the control plane: the pod's own certificate, and the server's name checked under the mesh's root.
    private var discoveryTLS: BootstrapJSON {
        func secret(_ name: String, _ path: String) -> BootstrapJSON {
            [
                "name": .string(name),
                "sds_config": ["path_config_source": ["path": .string(path)], "resource_api_version": "V3"],
            ]
        }
        let serverName: BootstrapJSON = ["san_type": "DNS", "matcher": ["exact": .string(discoveryServerName)]]
        let common: BootstrapJSON = [
            "alpn_protocols": ["h2"],
            "tls_params": ["tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"],
            "tls_certificate_sds_secret_configs": [secret(SidecarFiles.identitySecret, files.identitySDS)],
            "combined_validation_context": [
                "default_validation_context": ["match_typed_subject_alt_names": [serverName]],
                "validation_context_sds_secret_config": secret(SidecarFiles.trustSecret, files.trustSDS),
            ],
        ]
        return [
            "name": "envoy.transport_sockets.tls",
            "typed_config": [
                "@type": .string(Self.typeURL("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")),
                "sni": .string(discoveryServerName),
                "common_tls_context": common,
            ],
        ]
    }

    private var adminCluster: BootstrapJSON {
        [
            "name": "admin",
            "type": "STATIC",
            "connect_timeout": "0.25s",
            "load_assignment": Self.endpoint("admin", "127.0.0.1", adminPort),
        ]
    }

    /// Prometheus scrapes this port; of the admin interface it shows two paths and nothing else.
    private var statsListener: BootstrapJSON {
        let routes: [BootstrapJSON] = ["/stats/prometheus", "/ready"].map {
            ["match": ["path": .string($0)], "route": ["cluster": "admin"]]
        }
        let manager: BootstrapJSON = [
            "@type": .string(
                Self.typeURL("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager")),
            "stat_prefix": "stats",
            "route_config": [
                "virtual_hosts": [["name": "admin", "domains": ["*"], "routes": .array(routes)]]
            ],
            "http_filters": [
                [
                    "name": "envoy.filters.http.router",
                    "typed_config": ["@type": .string(Self.typeURL("envoy.extensions.filters.http.router.v3.Router"))],
                ]
            ],
        ]
        return [
            "name": "stats",
            "ignore_global_conn_limit": true,
            "address": Self.socket("0.0.0.0", statsPort),
            "filter_chains": [
                [
                    "filters": [
                        ["name": "envoy.filters.network.http_connection_manager", "typed_config": manager]
                    ]
                ]
            ],
        ]
    }

    private var overloadManager: BootstrapJSON {
        let monitor = "envoy.resource_monitors.global_downstream_max_connections"
        let type = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
        return [
            "refresh_interval": "0.25s",
            "resource_monitors": [
                [
                    "name": .string(monitor),
                    "typed_config": [
                        "@type": .string(Self.typeURL(type)),
                        "max_active_downstream_connections": .string(String(maxDownstreamConnections)),
                    ],
                ]
            ],
        ]
    }

    private static func typeURL(_ message: String) -> String { "type.googleapis.com/" + message }

    private static func socket(_ address: String, _ port: Int) -> BootstrapJSON {
        ["socket_address": ["address": .string(address), "port_value": .int(port)]]
    }

    private static func endpoint(_ cluster: String, _ host: String, _ port: Int) -> BootstrapJSON {
        [
            "cluster_name": .string(cluster),
            "endpoints": [["lb_endpoints": [["endpoint": ["address": socket(host, port)]]]]],
        ]
    }
}
