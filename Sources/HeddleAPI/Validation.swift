package import KubeCore

// Rules over several fields. A rule that CEL can say is in the schema too, so that `kubectl apply` refuses at once; here
// it holds for objects that came in another way, and for clusters without CEL.

extension MeshSpec {
    package func validate() -> [FieldError] {
        var faults: [FieldError] = []
        if revision != nil, provider != .istio {
            faults.append(.init(path: "spec.revision", message: "counts only with provider: Istio; remove it"))
        }
        if proxy.certificateLifetime < "1m" || proxy.certificateLifetime > "24h" {
            faults.append(
                .init(
                    path: "spec.proxy.certificateLifetime",
                    message: "\(proxy.certificateLifetime) must be from 1m to 24h"))
        }
        if let requested = proxy.resources.requests.memory, let limit = proxy.resources.limits.memory,
            requested.value > limit.value
        {
            faults.append(
                .init(
                    path: "spec.proxy.resources.requests.memory",
                    message: "\(requested) is more than the limit of \(limit); lower it or raise the limit"))
        }
        if let requested = proxy.resources.requests.cpu, let limit = proxy.resources.limits.cpu,
            requested.value > limit.value
        {
            faults.append(
                .init(
                    path: "spec.proxy.resources.requests.cpu",
                    message: "\(requested) is more than the limit of \(limit); lower it or raise the limit"))
        }
        return faults
    }
}

extension AdoptionSpec {
    package func validate() -> [FieldError] {
        var faults: [FieldError] = []
        if approval == .automatic, approvedPhase != nil {
            faults.append(
                .init(
                    path: "spec.approvedPhase", message: "counts only with approval: Manual; remove it or set approval")
            )
        }
        for (index, exception) in exceptions.enumerated() {
            let path = "spec.exceptions[\(index)]"
            let parts = exception.client.split(separator: "/", omittingEmptySubsequences: false)
            if parts.count > 2 || parts.contains(where: \.isEmpty) {
                faults.append(
                    .init(
                        path: "\(path).client",
                        message: "'\(exception.client)' must be a workload's name, namespace/name or an IP address"))
            }
        }
        return faults + validateSelector()
    }
}

extension AdoptionSpec {
    private func validateSelector() -> [FieldError] {
        (selector.matchExpressions ?? []).enumerated().compactMap { index, requirement in
            let needsValues = requirement.operator == .in || requirement.operator == .notIn
            guard (requirement.values ?? []).isEmpty == needsValues else { return nil }
            return FieldError(
                path: "spec.selector.matchExpressions[\(index)].values",
                message:
                    "\(needsValues ? "needs at least one value" : "must be empty") with \(requirement.operator.rawValue)"
            )
        }
    }
}

extension CanarySpec {
    package func validate() -> [FieldError] {
        var faults = validateSteps()
        let sizes = [canaryReplicas.count != nil, canaryReplicas.percent != nil, canaryReplicas.matchWeight == true]
        if sizes.filter(\.self).count > 1 {
            faults.append(
                .init(path: "spec.canaryReplicas", message: "set at most one of count, percent and matchWeight"))
        }
        if analysis.interval < "1s" {
            faults.append(
                .init(path: "spec.analysis.interval", message: "\(analysis.interval) is too short; write at least 1s"))
        }
        if !analysis.metrics.contains(where: \.critical) {
            faults.append(
                .init(
                    path: "spec.analysis.metrics",
                    message: "no metric is critical, so nothing could fail a run; set critical: true on one"))
        }
        for (index, metric) in analysis.metrics.enumerated() {
            faults += metric.validate(at: "spec.analysis.metrics[\(index)]")
        }
        return faults
    }

    private func validateSteps() -> [FieldError] {
        var faults: [FieldError] = []
        if steps.isEmpty {
            faults.append(.init(path: "spec.steps", message: "needs at least one step, e.g. weight: 10"))
        }
        for (index, step) in steps.enumerated() {
            if index > 0, step.weight < steps[index - 1].weight {
                faults.append(
                    .init(
                        path: "spec.steps[\(index)].weight",
                        message:
                            "\(step.weight) is less than the step before it (\(steps[index - 1].weight)); weights may not fall"
                    ))
            }
            let deadline = step.deadline ?? stepDeadline
            if deadline < step.duration {
                let path = step.deadline == nil ? "duration" : "deadline"
                faults.append(
                    .init(
                        path: "spec.steps[\(index)].\(path)",
                        message:
                            "the step's deadline (\(deadline)) ends before its duration (\(step.duration)); raise the deadline"
                    ))
            }
        }
        return faults
    }
}

extension CanaryMetric {
    func validate(at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        switch kind {
        case .latency:
            if latencyBound == nil {
                faults.append(
                    .init(path: "\(path).latencyBound", message: "a Latency metric needs it; write e.g. 250ms"))
            }
        case .query:
            if (query == nil) == (templateRef == nil) {
                faults.append(.init(path: "\(path).query", message: "a Query metric needs either query or templateRef"))
            }
            if thresholdRange == nil {
                faults.append(.init(path: "\(path).thresholdRange", message: "a Query metric needs min or max"))
            }
        case .successRatio: break
        }
        if kind != .query, query != nil || templateRef != nil {
            faults.append(
                .init(
                    path: "\(path).query",
                    message: "query and templateRef belong to kind Query; remove them or change the kind"))
        }
        if let query { faults += MetricTemplateSpec.unknownVariables(in: query, at: "\(path).query") }
        if let thresholdRange {
            faults += thresholdRange.validate(at: "\(path).thresholdRange", isRatio: kind != .query)
        }
        return faults
    }
}

extension ThresholdRange {
    func validate(at path: String, isRatio: Bool) -> [FieldError] {
        if min == nil, max == nil { return [.init(path: path, message: "set min or max")] }
        if let min, let max, min > max { return [.init(path: path, message: "min (\(min)) is above max (\(max))")] }
        if isRatio, [min, max].contains(where: { $0.map { !(0...1).contains($0) } ?? false }) {
            return [.init(path: path, message: "is a ratio from 0 to 1; write 0.99 for 99 %")]
        }
        return []
    }
}

extension ServicePolicySpec {
    package func validate() -> [FieldError] {
        var faults: [FieldError] = []
        var seen: Set<HTTPMethod> = []
        for (index, retry) in retries.enumerated() {
            let path = "spec.retries[\(index)]"
            if retry.methods.isEmpty, index < retries.count - 1 {
                faults.append(
                    .init(path: "\(path).methods", message: "an entry for all other methods must be the last one"))
            }
            for method in retry.methods where !seen.insert(method).inserted {
                faults.append(
                    .init(
                        path: "\(path).methods",
                        message: "\(method.rawValue) is named by an earlier entry; name it once"))
            }
            if let timeout, let perTry = retry.perTryTimeout, perTry > timeout {
                faults.append(
                    .init(
                        path: "\(path).perTryTimeout",
                        message: "\(perTry) is longer than the timeout of the whole request (\(timeout)); shorten it"))
            }
        }
        if let outlierDetection, outlierDetection.consecutive5xxErrors == 0,
            outlierDetection.consecutiveGatewayErrors == 0
        {
            faults.append(
                .init(
                    path: "spec.outlierDetection",
                    message:
                        "nothing is counted: set consecutive5xxErrors or consecutiveGatewayErrors above 0, or remove it"
                ))
        }
        return faults
    }
}

extension MetricTemplateSpec {
    package func validate() -> [FieldError] { Self.unknownVariables(in: query, at: "spec.query") }

    /// Errors for `{{ name }}`s that are no `Variable`.
    static func unknownVariables(in query: String, at path: String) -> [FieldError] {
        query.split(separator: "{{", omittingEmptySubsequences: false).dropFirst().compactMap { rest in
            guard let end = rest.firstRange(of: "}}") else {
                return FieldError(path: path, message: "a '{{' has no '}}'")
            }
            let name = rest[..<end.lowerBound].filter { $0 != " " }
            guard Variable(rawValue: name) == nil else { return nil }
            let known = Variable.allCases.map(\.rawValue).joined(separator: ", ")
            return FieldError(path: path, message: "'{{ \(name) }}' is no variable; there are \(known)")
        }
    }

    /// The query with its variables filled in.
    /// - Throws: `FieldError` for a variable that is unknown or has no value.
    package static func render(_ query: String, _ values: [Variable: String]) throws(FieldError) -> String {
        var out = ""
        var rest = query[...]
        while let start = rest.firstRange(of: "{{") {
            out += rest[..<start.lowerBound]
            rest = rest[start.upperBound...]
            guard let end = rest.firstRange(of: "}}") else {
                throw FieldError(path: "query", message: "a '{{' has no '}}'")
            }
            let name = rest[..<end.lowerBound].filter { $0 != " " }
            guard let variable = Variable(rawValue: name), let value = values[variable] else {
                throw FieldError(path: "query", message: "'{{ \(name) }}' has no value here")
            }
            out += value
            rest = rest[end.upperBound...]
        }
        return out + rest
    }
}
