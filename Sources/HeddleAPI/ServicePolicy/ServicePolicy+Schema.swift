import KubeCore

extension ServicePolicySpec {
    package static let schema = Schema.object(
        "How calls of one Service behave when it is slow, failing or overloaded.",
        [
            .required(
                "service", .string("A Service of the same namespace.", pattern: .dnsLabel, minLength: 1, maxLength: 63)),
            .field("timeout", .duration("Longest time for a request with all its tries.")),
            .field(
                "retries",
                .list(
                    "Which requests are tried again; the first entry whose methods match counts, and a method that no entry names is not retried.",
                    of: RetryPolicy.schema, maxItems: 16,
                    rules: [
                        .init(
                            "self.size() == 0 || self.filter(retry, retry.methods.size() == 0).size() "
                                + "== (self[self.size() - 1].methods.size() == 0 ? 1 : 0)",
                            "an entry for all other methods (without methods) must be the last one"),
                        .init(
                            "self.all(retry, retry.methods.all(method, "
                                + "self.exists_one(other, method in other.methods)))",
                            "a method is named by two entries; name it once"),
                    ]
                ).defaulting(to: [])),
            .field("retryBudget", RetryBudget.schema),
            .field("circuitBreaker", CircuitBreaker.schema),
            .field("outlierDetection", OutlierDetection.schema),
            .field(
                "loadBalancing",
                .choice("How an endpoint is chosen; without it, the mesh's own.", of: LoadBalancing.allCases)),
        ],
        rules: [
            .init(
                "!has(self.timeout) || self.retries.all(retry, !has(retry.perTryTimeout) "
                    + "|| duration(retry.perTryTimeout) <= duration(self.timeout))",
                "a perTryTimeout is longer than the timeout of the whole request; shorten it",
                messageExpression:
                    "'a perTryTimeout is longer than the timeout of the whole request (' + self.timeout "
                    + "+ '); shorten it'",
                at: ".timeout")
        ])
}

extension RetryPolicy {
    package static let schema = Schema.object(
        "Which requests are tried again, and how often.",
        [
            .field(
                "methods",
                .list(
                    "HTTP methods; empty: every method that no other entry names.",
                    of: .choice("An HTTP method.", of: HTTPMethod.allCases), type: .set,
                    maxItems: HTTPMethod.allCases.count
                ).defaulting(to: [])),
            .field(
                "attempts",
                .integer("Tries after the first; 0: none.", unit: .tries, minimum: 0, maximum: 10, default: 2)),
            .field("perTryTimeout", .duration("Longest time for one try.")),
            .field(
                "retryOn",
                .list(
                    "When to try again, in Envoy's words or as a status code.",
                    of: .string("A condition.", pattern: retryCondition, maxLength: 64), type: .set, maxItems: 32
                ).defaulting(to: JSONValue(RetryPolicy().retryOn))),
        ])

    private static let retryCondition = Pattern(
        #"^([a-z0-9]+(-[a-z0-9]+)*|[1-5][0-9][0-9])$"#, meaning: "a retry condition such as connect-failure, 5xx or 503"
    )
}

extension RetryBudget {
    package static let schema = Schema.object(
        "Bounds retries by the traffic itself, so that they cannot multiply an outage.",
        [
            .field(
                "percent",
                .number(
                    "Retries in flight, as a share of the requests in flight.", unit: .percent, minimum: 0,
                    maximum: 100, default: 20)),
            .field(
                "minConcurrency",
                .integer("Retries in flight that are always allowed.", unit: .requests, minimum: 0, default: 3)),
        ])
}

extension CircuitBreaker {
    package static let schema = Schema.object(
        "Limits per calling proxy; beyond them requests fail at once.",
        [
            .field("maxConnections", .integer("Connections.", unit: .connections, minimum: 1)),
            .field("maxPendingRequests", .integer("Requests that wait for a connection.", unit: .requests, minimum: 1)),
            .field("maxRequests", .integer("Requests in flight.", unit: .requests, minimum: 1)),
        ])
}

extension OutlierDetection {
    package static let schema = Schema.object(
        "Takes an endpoint out for a while after it failed repeatedly.",
        [
            .field(
                "consecutive5xxErrors",
                .integer(
                    "5xx answers and connection failures in a row; 0: not counted.", unit: .requests, minimum: 0,
                    default: 5)),
            .field(
                "consecutiveGatewayErrors",
                .integer(
                    "502, 503, 504 and connection failures in a row; 0: not counted.", unit: .requests, minimum: 0,
                    default: 0)),
            .field("interval", .duration("Time between two sweeps.", default: "10s")),
            .field(
                "baseEjectionTime",
                .duration("Time that an endpoint stays out, times the number of its ejections.", default: "30s")),
            .field(
                "maxEjectionPercent",
                .integer(
                    "Most endpoints that may be out at once.", unit: .percent, minimum: 1, maximum: 100, default: 50)),
        ],
        rules: [
            .init(
                "self.consecutive5xxErrors > 0 || self.consecutiveGatewayErrors > 0",
                "nothing is counted: set consecutive5xxErrors or consecutiveGatewayErrors above 0, or remove it"
            )
        ])
}

extension ServicePolicyStatus {
    package static let schema = Schema.object(
        "What became of the policy.",
        [
            .field("observedGeneration", .observedGeneration),
            .field("rendered", .list("The mesh objects that carry the policy.", of: RenderedObject.schema).absent([])),
            .field("conditions", .conditions),
        ])
}

extension RenderedObject {
    package static let schema = Schema.object(
        "One object of the same namespace.",
        [
            .required("apiVersion", .string("Its API version.")),
            .required("kind", .string("Its kind.")),
            .required("name", .string("Its name.")),
        ])
}
