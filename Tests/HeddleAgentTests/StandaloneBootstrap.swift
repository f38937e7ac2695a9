import EnvoyConfig

/// A sidecar's bootstrap with traffic of its own instead of a control plane: what its Envoy counts is what the
/// bootstrap keeps, under the names that Heddle's queries use.
struct StandaloneBootstrap {
    var base: SidecarBootstrap
    /// Listens here, for HTTP/1.1 and HTTP/2.
    var port: Int
    /// Sends everything here, as HTTP/1.1.
    var application: Int

    private static let cluster = "outbound|80||cart.shop.svc.cluster.local"

    var text: String {
        guard case .object(var document) = base.document,
            case .object(var resources) = document["static_resources"],
            case .array(var listeners) = resources["listeners"],
            case .array(var clusters) = resources["clusters"]
        else { return "" }
        listeners.append(listener)
        clusters.append([
            "name": .string(Self.cluster), "type": "STATIC",
            "load_assignment": [
                "cluster_name": .string(Self.cluster),
                "endpoints": [["lb_endpoints": [["endpoint": ["address": address(application)]]]]],
            ],
        ])
        resources["listeners"] = .array(listeners)
        resources["clusters"] = .array(clusters)
        document["static_resources"] = .object(resources)
        document["dynamic_resources"] = nil
        return BootstrapJSON.object(document).text
    }

    private var listener: BootstrapJSON {
        let route: BootstrapJSON = ["match": ["prefix": "/"], "route": ["cluster": .string(Self.cluster)]]
        let manager: BootstrapJSON = [
            "@type": type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "inbound_mtls_8080", "access_log": [accessLog],
            "route_config": ["virtual_hosts": [["name": "v", "domains": ["*"], "routes": [route]]]],
            "http_filters": [
                [
                    "name": "envoy.filters.http.router",
                    "typed_config": ["@type": type("filters.http.router.v3.Router")],
                ]
            ],
        ]
        return [
            "address": address(port),
            "filter_chains": [
                ["filters": [["name": "envoy.filters.network.http_connection_manager", "typed_config": manager]]]
            ],
        ]
    }

    private var accessLog: BootstrapJSON {
        let tags: BootstrapJSON = [
            ["name": "response_code", "value_format": "%RESPONSE_CODE%"],
            ["name": "destination_service", "value_format": "cart.shop"],
        ]
        let duration: BootstrapJSON = [
            "stat": ["name": "request_duration_milliseconds"], "unit": "Milliseconds", "value_format": "%DURATION%",
        ]
        return [
            "name": "envoy.access_loggers.stats",
            "typed_config": [
                "@type": type("access_loggers.stats.v3.Config"), "stats_scope": ["prefix": "heddle"],
                "counters": [["stat": ["name": "requests_total", "tags": tags], "value_fixed": 1]],
                "histograms": [duration],
            ],
        ]
    }

    private func address(_ port: Int) -> BootstrapJSON {
        ["socket_address": ["address": "127.0.0.1", "port_value": .int(port)]]
    }

    private func type(_ name: String) -> BootstrapJSON {
        .string("type.googleapis.com/envoy.extensions." + name)
    }
}
