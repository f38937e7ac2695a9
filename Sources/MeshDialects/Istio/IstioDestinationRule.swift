package import KubeCore
package import MeshModel

/// Istio's DestinationRule as a `DestinationPolicy`, and back.
package enum IstioDestinationRule {
    package static func read(_ object: KubeObject) -> Reading<DestinationPolicy> {
        var problems: [FieldError] = []
        let host = object.spec["host"]?.string ?? ""
        guard let service = ServiceID(host: host, in: object.namespace) else {
            return Reading(
                nil, problems: [FieldError(path: "spec.host", message: "'\(host)' is not a service of the cluster")])
        }
        let traffic = policy(object.spec["trafficPolicy"], path: "spec.trafficPolicy", problems: &problems)
        var subsets: [DestinationPolicy.Subset] = []
        for (index, subset) in (object.spec["subsets"]?.array ?? []).enumerated() {
            let path = "spec.subsets[\(index)]"
            guard let name = subset["name"]?.string, !name.isEmpty else {
                problems.append(FieldError(path: path + ".name", message: "is required"))
                continue
            }
            subsets.append(
                .init(
                    name: name, labels: subset["labels"]?.stringMap ?? [:],
                    traffic: policy(subset["trafficPolicy"], path: path + ".trafficPolicy", problems: &problems)))
        }
        return Reading(
            DestinationPolicy(source: object.reference, service: service, traffic: traffic, subsets: subsets),
            problems: problems)
    }

    /// The `spec` that says what the policy says.
    package static func spec(_ policy: DestinationPolicy) -> JSONValue {
        var spec: JSONValue = ["host": .string(policy.service.host())]
        spec["trafficPolicy"] = write(policy.traffic)
        if !policy.subsets.isEmpty {
            spec["subsets"] = .array(
                policy.subsets.map { subset in
                    var json: JSONValue = ["name": .string(subset.name), "labels": JSONValue(subset.labels)]
                    json["trafficPolicy"] = write(subset.traffic)
                    return json
                })
        }
        return spec
    }

    private static func write(_ policy: TrafficPolicy) -> JSONValue? {
        guard policy != TrafficPolicy() else { return nil }
        var json: JSONValue = [:]
        if let balancing = policy.loadBalancing {
            let simple =
                switch balancing {
                case .roundRobin: "ROUND_ROBIN"
                case .leastRequest: "LEAST_REQUEST"
                case .random: "RANDOM"
                case .passthrough: "PASSTHROUGH"
                }
            json["loadBalancer"] = ["simple": .string(simple)]
        }
        if let pool = policy.connectionPool {
            var tcp: JSONValue = [:]
            tcp["maxConnections"] = pool.maxConnections.map(JSONValue.int)
            tcp["connectTimeout"] = pool.connectTimeoutSeconds.map(IstioVirtualService.seconds)
            var http: JSONValue = [:]
            http["http1MaxPendingRequests"] = pool.maxPendingRequests.map(JSONValue.int)
            http["http2MaxRequests"] = pool.maxRequests.map(JSONValue.int)
            http["maxRequestsPerConnection"] = pool.maxRequestsPerConnection.map(JSONValue.int)
            http["maxRetries"] = pool.maxRetries.map(JSONValue.int)
            var both: JSONValue = [:]
            if tcp != [:] { both["tcp"] = tcp }
            if http != [:] { both["http"] = http }
            json["connectionPool"] = both
        }
        if let outlier = policy.outlierDetection {
            var detection: JSONValue = [:]
            detection["consecutive5xxErrors"] = outlier.consecutive5xxErrors.map(JSONValue.int)
            detection["consecutiveGatewayErrors"] = outlier.consecutiveGatewayErrors.map(JSONValue.int)
            detection["interval"] = outlier.intervalSeconds.map(IstioVirtualService.seconds)
            detection["baseEjectionTime"] = outlier.baseEjectionSeconds.map(IstioVirtualService.seconds)
            detection["maxEjectionPercent"] = outlier.maxEjectionPercent.map(JSONValue.int)
            detection["minHealthPercent"] = outlier.minHealthPercent.map(JSONValue.int)
            json["outlierDetection"] = detection
        }
        if let budget = policy.retryBudget {
            var limits: JSONValue = [:]
            // A whole number comes back as one.
            limits["percent"] = budget.percent.map { Int(exactly: $0).map(JSONValue.int) ?? .double($0) }
            limits["minRetryConcurrency"] = budget.minConcurrency.map(JSONValue.int)
            json["retryBudget"] = limits
        }
        if let tls = policy.tls { json["tls"] = ["mode": tls == .disable ? "DISABLE" : "ISTIO_MUTUAL"] }
        return json
    }

    private static func policy(_ json: JSONValue?, path: String, problems: inout [FieldError]) -> TrafficPolicy {
        guard let json else { return TrafficPolicy() }
        func duration(_ value: JSONValue?, _ field: String) -> Double? {
            guard let text = value?.string else { return nil }
            if let duration = GoDuration(text) { return duration.seconds }
            problems.append(
                FieldError(path: "\(path).\(field)", message: "'\(text)' is not a duration; write e.g. 30s"))
            return nil
        }
        var policy = TrafficPolicy()
        if let simple = json[path: "loadBalancer", "simple"]?.string {
            switch simple {
            case "ROUND_ROBIN": policy.loadBalancing = .roundRobin
            case "LEAST_REQUEST", "LEAST_CONN": policy.loadBalancing = .leastRequest
            case "RANDOM": policy.loadBalancing = .random
            case "PASSTHROUGH": policy.loadBalancing = .passthrough
            case "UNSPECIFIED": break
            default:
                problems.append(
                    FieldError(path: "\(path).loadBalancer.simple", message: "'\(simple)' is not a known algorithm"))
            }
        }
        if let pool = json["connectionPool"] {
            policy.connectionPool = ConnectionPool(
                maxConnections: pool[path: "tcp", "maxConnections"]?.int,
                connectTimeoutSeconds: duration(
                    pool[path: "tcp", "connectTimeout"], "connectionPool.tcp.connectTimeout"),
                maxPendingRequests: pool[path: "http", "http1MaxPendingRequests"]?.int,
                maxRequests: pool[path: "http", "http2MaxRequests"]?.int,
                maxRequestsPerConnection: pool[path: "http", "maxRequestsPerConnection"]?.int,
                maxRetries: pool[path: "http", "maxRetries"]?.int)
        }
        if let outlier = json["outlierDetection"] {
            if outlier["consecutiveErrors"] != nil {
                problems.append(
                    FieldError(
                        path: "\(path).outlierDetection.consecutiveErrors",
                        message:
                            "Istio ignores this old name; write consecutive5xxErrors (it is read with that meaning here)"
                    ))
            }
            policy.outlierDetection = OutlierDetection(
                consecutive5xxErrors: outlier["consecutive5xxErrors"]?.int ?? outlier["consecutiveErrors"]?.int,
                consecutiveGatewayErrors: outlier["consecutiveGatewayErrors"]?.int,
                intervalSeconds: duration(outlier["interval"], "outlierDetection.interval"),
                baseEjectionSeconds: duration(outlier["baseEjectionTime"], "outlierDetection.baseEjectionTime"),
                maxEjectionPercent: outlier["maxEjectionPercent"]?.int,
                minHealthPercent: outlier["minHealthPercent"]?.int)
        }
        if let budget = json["retryBudget"] {
            policy.retryBudget = RetryBudget(
                percent: budget["percent"]?.double, minConcurrency: budget["minRetryConcurrency"]?.int)
        }
        switch json[path: "tls", "mode"]?.string {
        case nil: break
        case "DISABLE": policy.tls = .disable
        case "ISTIO_MUTUAL": policy.tls = .istioMutual
        case let mode?:
            problems.append(
                FieldError(
                    path: "\(path).tls.mode", message: "\(mode) is not supported yet; DISABLE and ISTIO_MUTUAL are"))
        }
        return policy
    }
}
