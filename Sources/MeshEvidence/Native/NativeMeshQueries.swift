package import MeshModel

/// PromQL over what the native mesh's proxies count: the series of Envoy's stats access logger, with the labels that
/// Prometheus adds to each target (`namespace`, `pod`, `app`).
///
/// Two kinds of query. *Raw counters* are read at each look and differenced by `CounterTracker`, so that an interval is
/// exactly what lies between two looks. *Windowed counts* (`counted`) answer "how many within the last 168 h" in one query.
package struct NativeMeshQueries: Sendable, Hashable {
    package static let requestsMetric = "envoy_heddle_requests_total"
    package static let durationMetric = "envoy_heddle_request_duration_milliseconds"
    /// Edges of the latency histogram's buckets in the sidecars' bootstrap, in milliseconds.
    package static let bucketEdges: [Double] = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]

    package init() {}

    // MARK: Raw counters, for releases

    /// Requests to a service as its callers' proxies count them, so that what never arrived counts too.
    package func requests(to service: ServiceID) -> String {
        "sum by (pod, destination_subset, response_code, response_flags) (\(source(service)))"
    }

    /// All requests to a service and those within the bound.
    package func latencyBuckets(to service: ServiceID, boundMilliseconds: Double) -> String {
        let edge = Self.plain(boundMilliseconds)
        let edges = edge.contains(".") ? edge : "\(edge)|\(edge).0"
        let labels = matchers([
            ("reporter", "=", "source"), ("destination_service", "=", service.description),
            ("le", "=~", "\(edges)|[+]Inf"),
        ])
        return "sum by (pod, destination_subset, le) (\(Self.durationMetric)_bucket{\(labels)})"
    }

    // MARK: Windowed counts, for adoption

    /// Requests that a namespace's proxies accepted without mutual TLS, by workload, port and client address.
    package func plaintext(namespace: String, windowSeconds: Double) -> String {
        counted(
            Self.requestsMetric,
            [
                ("reporter", "=", "destination"), ("namespace", "=", namespace),
                ("connection_security_policy", "=", "none"),
            ],
            by: ["app", "destination_port", "source_ip"], windowSeconds: windowSeconds)
    }

    /// Requests that a namespace's proxies accepted, by workload and whether mutual TLS protected them. Zero plaintext
    /// means something only where this is not empty.
    package func accepted(namespace: String, windowSeconds: Double) -> String {
        counted(
            Self.requestsMetric, [("reporter", "=", "destination"), ("namespace", "=", namespace)],
            by: ["app", "connection_security_policy"], windowSeconds: windowSeconds)
    }

    /// Requests to a namespace's services as their callers count them, by service and outcome.
    package func outcomes(namespace: String, windowSeconds: Double) -> String {
        counted(
            Self.requestsMetric,
            [("reporter", "=", "source"), ("destination_service", "=~", ".+[.]\(Self.literal(namespace))")],
            by: ["destination_service", "response_code", "response_flags"], windowSeconds: windowSeconds)
    }

    /// Requests between workloads: the call graph's edges, by the caller's pod labels and the service called.
    package func edges(namespace: String, windowSeconds: Double) -> String {
        counted(
            Self.requestsMetric,
            [("reporter", "=", "source"), ("destination_service", "=~", ".+[.]\(Self.literal(namespace))")],
            by: ["namespace", "app", "destination_service"], windowSeconds: windowSeconds)
    }

    /// Tries per request: what arrived over mutual TLS for each request that a meshed caller counted.
    package func retryAmplification(namespace: String, windowSeconds: Double) -> String {
        let arrived = counted(
            Self.requestsMetric,
            [
                ("reporter", "=", "destination"), ("namespace", "=", namespace),
                ("connection_security_policy", "=", "mutual_tls"),
            ],
            by: [], windowSeconds: windowSeconds)
        let sent = counted(
            Self.requestsMetric,
            [("reporter", "=", "source"), ("destination_service", "=~", ".+[.]\(Self.literal(namespace))")], by: [],
            windowSeconds: windowSeconds)
        return "(\(arrived)) / (\(sent))"
    }

    /// Latency histogram of a namespace's services within a window, cumulative by `le`, as callers (`source`) or the
    /// called (`destination`) measure it. The difference of the two is what the mesh adds on one hop, the wire included.
    package func latencyHistogram(namespace: String, reporter: String, windowSeconds: Double) -> String {
        counted(
            Self.durationMetric + "_bucket",
            reporter == "source"
                ? [("reporter", "=", reporter), ("destination_service", "=~", ".+[.]\(Self.literal(namespace))")]
                : [("reporter", "=", reporter), ("namespace", "=", namespace)],
            by: ["le"], windowSeconds: windowSeconds)
    }

    /// Spans that a namespace's proxies handed to their tracing backend, whichever protocol it speaks.
    package func spansSent(namespace: String) -> String {
        let labels = matchers([("namespace", "=", namespace)])
        return "sum({__name__=~\"envoy_tracing_(zipkin|opentelemetry)_spans_sent\",\(labels)})"
    }

    /// Memory of each sidecar in bytes, by pod.
    package func proxyMemory(namespace: String) -> String {
        "max by (pod) (envoy_server_memory_physical_size{\(matchers([("namespace", "=", namespace)]))})"
    }

    // MARK: Building

    package typealias Matcher = (label: String, operation: String, value: String)

    /// How often a counter rose within a window, per group.
    ///
    /// `increase` alone does not see a series' first event, so series that were born within the window count from 0, and
    /// only older ones by `increase`. The result is not whole; round it up.
    package func counted(_ metric: String, _ labels: [Matcher], by groups: [String], windowSeconds: Double) -> String {
        let selector = "\(metric){\(matchers(labels))}"
        let window = Self.duration(windowSeconds)
        let aggregate = groups.isEmpty ? "sum" : "sum by (\(groups.joined(separator: ", ")))"
        return aggregate + " ((max_over_time(\(selector)[\(window)]) unless \(selector) offset \(window))"
            + " or (increase(\(selector)[\(window)]) and \(selector) offset \(window)))"
    }

    private func source(_ service: ServiceID) -> String {
        let labels = matchers([("reporter", "=", "source"), ("destination_service", "=", service.description)])
        return "\(Self.requestsMetric){\(labels)}"
    }

    private func matchers(_ labels: [Matcher]) -> String {
        labels.map { "\($0.label)\($0.operation)\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
    }

    /// PromQL's durations are whole; milliseconds are its smallest unit.
    static func duration(_ seconds: Double) -> String {
        let milliseconds = max(1, Int((seconds * 1000).rounded()))
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { out, character in
            switch character {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.append(character)
            }
        }
    }

    /// A name within a regular expression; Kubernetes names have no special characters but the dot.
    static func literal(_ name: String) -> String {
        name.reduce(into: "") { $0 += $1 == "." ? "[.]" : String($1) }
    }

    private static func plain(_ value: Double) -> String {
        value == value.rounded() ? String(Int(value)) : String(value)
    }
}
