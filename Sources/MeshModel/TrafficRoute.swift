/// How requests to a service are routed: the meaning of a VirtualService (or HTTPRoute) with its mesh gateway.
package struct TrafficRoute: Sendable, Hashable {
    /// The object it came from, `VirtualService shop/catalog`: named when a proxy rejects what was made of it.
    package var source: String
    package var namespace: String
    /// Services it applies to.
    package var services: [ServiceID]
    /// In order; the first rule that matches wins. Empty rules match everything.
    package var rules: [RouteRule]

    package init(source: String, namespace: String, services: [ServiceID], rules: [RouteRule]) {
        self.source = source
        self.namespace = namespace
        self.services = services
        self.rules = rules
    }

    /// Whether requests, or copies of them, may be led to one of these services.
    package func leads(toAnyOf services: Set<ServiceID>) -> Bool {
        rules.contains { rule in
            rule.destinations.contains { services.contains($0.destination.service) }
                || rule.mirrors.contains { services.contains($0.destination.service) }
        }
    }
}

package struct RouteRule: Sendable, Hashable {
    package var name: String
    /// Any of them; empty matches every request.
    package var matches: [RequestMatch]
    package var destinations: [WeightedDestination]
    /// Whole request, retries included; nil: no limit.
    package var timeoutSeconds: Double?
    /// Nil: the mesh's default; `attempts` 0: no retries.
    package var retries: RetryPolicy?
    package var mirrors: [Mirror]
    package var fault: Fault?
    package var rewriteURI: String?
    package var rewriteAuthority: String?
    package var requestHeaders: HeaderOperations
    package var responseHeaders: HeaderOperations

    package init(
        name: String = "", matches: [RequestMatch] = [], destinations: [WeightedDestination],
        timeoutSeconds: Double? = nil,
        retries: RetryPolicy? = nil, mirrors: [Mirror] = [], fault: Fault? = nil, rewriteURI: String? = nil,
        rewriteAuthority: String? = nil, requestHeaders: HeaderOperations = .init(),
        responseHeaders: HeaderOperations = .init()
    ) {
        self.name = name
        self.matches = matches
        self.destinations = destinations
        self.timeoutSeconds = timeoutSeconds
        self.retries = retries
        self.mirrors = mirrors
        self.fault = fault
        self.rewriteURI = rewriteURI
        self.rewriteAuthority = rewriteAuthority
        self.requestHeaders = requestHeaders
        self.responseHeaders = responseHeaders
    }
}

package enum StringMatch: Sendable, Hashable {
    case exact(String)
    case prefix(String)
    case regex(String)
    /// The header or parameter is there.
    case present
}

/// All of its parts must match.
package struct RequestMatch: Sendable, Hashable {
    package var uri: StringMatch?
    package var ignoreURICase: Bool
    package var method: StringMatch?
    package var authority: StringMatch?
    /// Lower-case header names.
    package var headers: [String: StringMatch]
    package var withoutHeaders: [String: StringMatch]
    package var queryParameters: [String: StringMatch]
    package var port: Int?
    /// Only for clients whose pods carry these labels.
    package var sourceLabels: [String: String]
    package var sourceNamespace: String?

    package init(
        uri: StringMatch? = nil, ignoreURICase: Bool = false, method: StringMatch? = nil, authority: StringMatch? = nil,
        headers: [String: StringMatch] = [:], withoutHeaders: [String: StringMatch] = [:],
        queryParameters: [String: StringMatch] = [:], port: Int? = nil, sourceLabels: [String: String] = [:],
        sourceNamespace: String? = nil
    ) {
        self.uri = uri
        self.ignoreURICase = ignoreURICase
        self.method = method
        self.authority = authority
        self.headers = headers
        self.withoutHeaders = withoutHeaders
        self.queryParameters = queryParameters
        self.port = port
        self.sourceLabels = sourceLabels
        self.sourceNamespace = sourceNamespace
    }
}

package struct Destination: Sendable, Hashable {
    package var service: ServiceID
    /// Name of a subset of the service's DestinationPolicy; nil: all its endpoints.
    package var subset: String?
    /// Service port; nil: the port that was called.
    package var port: Int?

    package init(service: ServiceID, subset: String? = nil, port: Int? = nil) {
        self.service = service
        self.subset = subset
        self.port = port
    }
}

package struct WeightedDestination: Sendable, Hashable {
    package var destination: Destination
    /// Relative to the sum of the rule's weights; Istio's default is 100 for a single destination, else 0.
    package var weight: Int

    package init(destination: Destination, weight: Int) {
        self.destination = destination
        self.weight = weight
    }
}

package struct RetryPolicy: Sendable, Hashable {
    /// Retries after the first try.
    package var attempts: Int
    package var perTryTimeoutSeconds: Double?
    /// Envoy's conditions, e.g. `5xx`, `connect-failure`; numbers are retriable status codes.
    package var retryOn: [String]
    package var backoffSeconds: Double?

    package init(
        attempts: Int, perTryTimeoutSeconds: Double? = nil, retryOn: [String] = [], backoffSeconds: Double? = nil
    ) {
        self.attempts = attempts
        self.perTryTimeoutSeconds = perTryTimeoutSeconds
        self.retryOn = retryOn
        self.backoffSeconds = backoffSeconds
    }
}

package struct Mirror: Sendable, Hashable {
    package var destination: Destination
    /// 0 to 100.
    package var percent: Double

    package init(destination: Destination, percent: Double) {
        self.destination = destination
        self.percent = percent
    }
}

package struct Fault: Sendable, Hashable {
    package var delaySeconds: Double?
    package var delayPercent: Double
    package var abortStatus: Int?
    package var abortPercent: Double

    package init(
        delaySeconds: Double? = nil, delayPercent: Double = 0, abortStatus: Int? = nil, abortPercent: Double = 0
    ) {
        self.delaySeconds = delaySeconds
        self.delayPercent = delayPercent
        self.abortStatus = abortStatus
        self.abortPercent = abortPercent
    }
}

package struct HeaderOperations: Sendable, Hashable {
    package var set: [String: String]
    package var add: [String: String]
    package var remove: [String]

    package init(set: [String: String] = [:], add: [String: String] = [:], remove: [String] = []) {
        self.set = set
        self.add = add
        self.remove = remove
    }
}
