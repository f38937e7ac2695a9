package import KubeCore
package import MeshModel

/// Istio's VirtualService as a `TrafficRoute`, and back.
package enum IstioVirtualService {
    /// Reads one object. Only the `mesh` gateway is taken: rules for other gateways say nothing to sidecars.
    package static func read(_ object: KubeObject) -> Reading<TrafficRoute> {
        var problems: [FieldError] = []
        let spec = object.spec
        if let gateways = spec["gateways"]?.array?.compactMap(\.string), !gateways.isEmpty, !gateways.contains("mesh") {
            return Reading(nil)
        }
        var services: [ServiceID] = []
        for (index, host) in (spec["hosts"]?.array ?? []).enumerated() {
            if let name = host.string, let service = ServiceID(host: name, in: object.namespace) {
                services.append(service)
            } else {
                problems.append(
                    FieldError(
                        path: "spec.hosts[\(index)]",
                        message: "'\(host.string ?? "")' is not a service of the cluster; sidecars route only services")
                )
            }
        }
        for part in ["tcp", "tls"] where spec[part]?.array?.isEmpty == false {
            problems.append(
                FieldError(
                    path: "spec.\(part)", message: "is not supported yet; connections take the service's default route")
            )
        }
        var rules: [RouteRule] = []
        for (index, http) in (spec["http"]?.array ?? []).enumerated() {
            var reader = RuleReader(json: http, path: "spec.http[\(index)]", namespace: object.namespace)
            if let rule = reader.rule() { rules.append(rule) }
            problems += reader.problems
        }
        guard !services.isEmpty, !rules.isEmpty else { return Reading(nil, problems: problems) }
        return Reading(
            TrafficRoute(source: object.reference, namespace: object.namespace, services: services, rules: rules),
            problems: problems)
    }

    /// The `spec` that says what the route says. Durations are written as Go durations, subsets by name.
    package static func spec(_ route: TrafficRoute) -> JSONValue {
        [
            "hosts": .array(route.services.map { .string($0.host()) }),
            "http": .array(route.rules.map(write)),
        ]
    }

    private static func write(_ rule: RouteRule) -> JSONValue {
        var http: JSONValue = [:]
        if !rule.name.isEmpty { http["name"] = .string(rule.name) }
        if !rule.matches.isEmpty { http["match"] = .array(rule.matches.map(write)) }
        http["route"] = .array(
            rule.destinations.map { weighted in
                var route: JSONValue = ["destination": write(weighted.destination)]
                if rule.destinations.count > 1 { route["weight"] = .int(weighted.weight) }
                return route
            })
        if let timeout = rule.timeoutSeconds { http["timeout"] = seconds(timeout) }
        if let retries = rule.retries {
            var json: JSONValue = ["attempts": .int(retries.attempts)]
            if let timeout = retries.perTryTimeoutSeconds { json["perTryTimeout"] = seconds(timeout) }
            if !retries.retryOn.isEmpty { json["retryOn"] = .string(retries.retryOn.joined(separator: ",")) }
            if let backoff = retries.backoffSeconds { json["backoff"] = seconds(backoff) }
            http["retries"] = json
        }
        if !rule.mirrors.isEmpty {
            http["mirrors"] = .array(
                rule.mirrors.map {
                    ["destination": write($0.destination), "percentage": ["value": .double($0.percent)]]
                })
        }
        return http
    }

    private static func write(_ destination: Destination) -> JSONValue {
        var json: JSONValue = ["host": .string(destination.service.host())]
        if let subset = destination.subset { json["subset"] = .string(subset) }
        if let port = destination.port { json["port"] = ["number": .int(port)] }
        return json
    }

    private static func write(_ match: RequestMatch) -> JSONValue {
        var json: JSONValue = [:]
        if let uri = match.uri { json["uri"] = write(uri) }
        if match.ignoreURICase { json["ignoreUriCase"] = true }
        if let method = match.method { json["method"] = write(method) }
        if let authority = match.authority { json["authority"] = write(authority) }
        if !match.headers.isEmpty { json["headers"] = .object(match.headers.mapValues(write)) }
        if !match.withoutHeaders.isEmpty { json["withoutHeaders"] = .object(match.withoutHeaders.mapValues(write)) }
        if !match.queryParameters.isEmpty { json["queryParams"] = .object(match.queryParameters.mapValues(write)) }
        if let port = match.port { json["port"] = .int(port) }
        if !match.sourceLabels.isEmpty { json["sourceLabels"] = JSONValue(match.sourceLabels) }
        if let namespace = match.sourceNamespace { json["sourceNamespace"] = .string(namespace) }
        return json
    }

    private static func write(_ match: StringMatch) -> JSONValue {
        switch match {
        case .exact(let text): ["exact": .string(text)]
        case .prefix(let text): ["prefix": .string(text)]
        case .regex(let text): ["regex": .string(text)]
        case .present: [:]
        }
    }

    static func seconds(_ value: Double) -> JSONValue { .string(GoDuration(seconds: value).description) }
}

/// Reads one `http` entry and collects what is wrong with it.
private struct RuleReader {
    let json: JSONValue
    let path: String
    let namespace: String
    var problems: [FieldError] = []

    init(json: JSONValue, path: String, namespace: String) {
        self.json = json
        self.path = path
        self.namespace = namespace
    }

    mutating func rule() -> RouteRule? {
        for unsupported in ["redirect", "directResponse", "delegate", "corsPolicy"] where json[unsupported] != nil {
            report(unsupported, "is not supported by Heddle's own mesh yet and is left out")
        }
        let routes = json["route"]?.array ?? []
        var destinations: [WeightedDestination] = []
        for (index, route) in routes.enumerated() {
            guard let destination = destination(route["destination"], "route[\(index)].destination") else { continue }
            let weight = route["weight"]?.int ?? (routes.count == 1 ? 100 : 0)
            if weight < 0 { report("route[\(index)].weight", "must not be negative") }
            destinations.append(WeightedDestination(destination: destination, weight: max(0, weight)))
        }
        guard !destinations.isEmpty else {
            report("route", "needs at least one destination")
            return nil
        }
        if destinations.allSatisfy({ $0.weight == 0 }) {
            report("route", "the weights of all destinations are 0; the first one gets every request")
            destinations[0].weight = 100
        }
        return RouteRule(
            name: json["name"]?.string ?? "", matches: matches(), destinations: destinations,
            timeoutSeconds: duration(json["timeout"], "timeout").flatMap { $0 > 0 ? $0 : nil }, retries: retries(),
            mirrors: mirrors(), fault: fault(), rewriteURI: json[path: "rewrite", "uri"]?.string,
            rewriteAuthority: json[path: "rewrite", "authority"]?.string, requestHeaders: headers("request"),
            responseHeaders: headers("response"))
    }

    private mutating func report(_ field: String, _ message: String) {
        problems.append(FieldError(path: "\(path).\(field)", message: message))
    }

    private mutating func duration(_ value: JSONValue?, _ field: String) -> Double? {
        guard let text = value?.string else { return nil }
        guard let duration = GoDuration(text) else {
            report(field, "'\(text)' is not a duration; write e.g. 3s or 250ms")
            return nil
        }
        return duration.seconds
    }

    private mutating func destination(_ value: JSONValue?, _ field: String) -> Destination? {
        let host = value?["host"]?.string ?? ""
        guard let value, let service = ServiceID(host: host, in: namespace) else {
            report(field + ".host", "'\(host)' is not a service of the cluster")
            return nil
        }
        return Destination(service: service, subset: value["subset"]?.string, port: value[path: "port", "number"]?.int)
    }

    private mutating func matches() -> [RequestMatch] {
        var matches: [RequestMatch] = []
        for (index, match) in (json["match"]?.array ?? []).enumerated() {
            let gateways = match["gateways"]?.array?.compactMap(\.string) ?? []
            guard gateways.isEmpty || gateways.contains("mesh") else { continue }
            let field = "match[\(index)]"
            matches.append(
                RequestMatch(
                    uri: string(match["uri"], field + ".uri"), ignoreURICase: match["ignoreUriCase"]?.bool ?? false,
                    method: string(match["method"], field + ".method"),
                    authority: string(match["authority"], field + ".authority"),
                    headers: strings(match["headers"], field + ".headers", lowercased: true),
                    withoutHeaders: strings(match["withoutHeaders"], field + ".withoutHeaders", lowercased: true),
                    queryParameters: strings(match["queryParams"], field + ".queryParams", lowercased: false),
                    port: match["port"]?.int, sourceLabels: match["sourceLabels"]?.stringMap ?? [:],
                    sourceNamespace: match["sourceNamespace"]?.string))
        }
        return matches
    }

    private mutating func strings(_ value: JSONValue?, _ field: String, lowercased: Bool) -> [String: StringMatch] {
        var result: [String: StringMatch] = [:]
        for (name, match) in value?.object ?? [:] {
            result[lowercased ? name.lowercased() : name] = string(match, "\(field).\(name)") ?? .present
        }
        return result
    }

    private mutating func string(_ value: JSONValue?, _ field: String) -> StringMatch? {
        guard let value, value.object?.isEmpty == false else { return nil }
        if let text = value["exact"]?.string { return .exact(text) }
        if let text = value["prefix"]?.string { return .prefix(text) }
        if let text = value["regex"]?.string { return .regex(text) }
        report(field, "needs one of exact, prefix or regex")
        return nil
    }

    private mutating func retries() -> RetryPolicy? {
        guard let retries = json["retries"] else { return nil }
        return RetryPolicy(
            attempts: retries["attempts"]?.int ?? 2,
            perTryTimeoutSeconds: duration(retries["perTryTimeout"], "retries.perTryTimeout"),
            retryOn: (retries["retryOn"]?.string ?? "").split(separator: ",").map {
                String($0.filter { !$0.isWhitespace })
            },
            backoffSeconds: duration(retries["backoff"], "retries.backoff"))
    }

    private mutating func mirrors() -> [Mirror] {
        var all = json["mirrors"]?.array ?? []
        if let single = json["mirror"] {
            all.append(["destination": single, "percentage": json["mirrorPercentage"] ?? ["value": 100]])
        }
        var mirrors: [Mirror] = []
        for (index, mirror) in all.enumerated() {
            guard let destination = destination(mirror["destination"], "mirrors[\(index)].destination") else {
                continue
            }
            mirrors.append(
                Mirror(destination: destination, percent: mirror[path: "percentage", "value"]?.double ?? 100))
        }
        return mirrors
    }

    private mutating func fault() -> Fault? {
        guard let fault = json["fault"] else { return nil }
        return Fault(
            delaySeconds: duration(fault[path: "delay", "fixedDelay"], "fault.delay.fixedDelay"),
            delayPercent: fault[path: "delay", "percentage", "value"]?.double ?? (fault["delay"] == nil ? 0 : 100),
            abortStatus: fault[path: "abort", "httpStatus"]?.int,
            abortPercent: fault[path: "abort", "percentage", "value"]?.double ?? (fault["abort"] == nil ? 0 : 100))
    }

    private func headers(_ direction: String) -> HeaderOperations {
        let operations = json[path: "headers", direction]
        return HeaderOperations(
            set: operations?["set"]?.stringMap ?? [:], add: operations?["add"]?.stringMap ?? [:],
            remove: operations?["remove"]?.array?.compactMap(\.string) ?? [])
    }
}
