package import KubeCore
package import MeshModel

/// Istio's PeerAuthentication as a `PeerPolicy`, and back.
package enum IstioPeerAuthentication {
    package static func read(_ object: KubeObject) -> Reading<PeerPolicy> {
        var problems: [FieldError] = []
        func mode(_ value: JSONValue?, _ field: String) -> MTLSMode? {
            guard let text = value?.string, text != "UNSET" else { return nil }
            if let mode = MTLSMode(rawValue: text) { return mode }
            problems.append(
                FieldError(path: field, message: "'\(text)' is not one of STRICT, PERMISSIVE, DISABLE, UNSET"))
            return nil
        }
        let selector = object.spec[path: "selector", "matchLabels"]?.stringMap
        var ports: [Int: MTLSMode] = [:]
        for (port, setting) in object.spec["portLevelMtls"]?.object ?? [:] {
            let field = "spec.portLevelMtls.\(port)"
            guard let number = Int(port) else {
                problems.append(FieldError(path: field, message: "must be a container port number"))
                continue
            }
            ports[number] = mode(setting["mode"], field + ".mode")
        }
        if !ports.isEmpty, selector == nil {
            problems.append(
                FieldError(path: "spec.portLevelMtls", message: "is ignored without a selector; add spec.selector"))
        }
        return Reading(
            PeerPolicy(
                source: object.reference, namespace: object.namespace,
                selector: selector?.isEmpty == true ? nil : selector,
                mode: mode(object.spec[path: "mtls", "mode"], "spec.mtls.mode"),
                portModes: ports, createdAt: object.json[path: "metadata", "creationTimestamp"]?.string ?? ""),
            problems: problems)
    }

    package static func spec(selector: [String: String]?, mode: MTLSMode?, portModes: [Int: MTLSMode] = [:])
        -> JSONValue
    {
        var spec: JSONValue = [:]
        if let selector { spec["selector"] = ["matchLabels": JSONValue(selector)] }
        if let mode { spec["mtls"] = ["mode": .string(mode.rawValue)] }
        if !portModes.isEmpty {
            spec["portLevelMtls"] = .object(
                Dictionary(
                    uniqueKeysWithValues: portModes.map { (String($0.key), ["mode": .string($0.value.rawValue)]) }))
        }
        return spec
    }
}

/// The tracing part of Istio's Telemetry.
package enum IstioTelemetry {
    package static func read(_ object: KubeObject) -> Reading<TelemetryPolicy> {
        guard let tracing = object.spec["tracing"]?.array?.first else { return Reading(nil) }
        var tags: [String: String] = [:]
        var problems: [FieldError] = []
        for (name, tag) in tracing["customTags"]?.object ?? [:] {
            if let literal = tag[path: "literal", "value"]?.string {
                tags[name] = literal
            } else {
                problems.append(
                    FieldError(
                        path: "spec.tracing[0].customTags.\(name)", message: "only literal tags are supported yet"))
            }
        }
        let percent = tracing["randomSamplingPercentage"]?.double
        if let percent, !(0...100).contains(percent) {
            problems.append(
                FieldError(
                    path: "spec.tracing[0].randomSamplingPercentage", message: "must be 0 to 100 (1.0 is one percent)"))
        }
        return Reading(
            TelemetryPolicy(
                source: object.reference, namespace: object.namespace,
                selector: object.spec[path: "selector", "matchLabels"]?.stringMap,
                samplingPercent: percent.map { min(max($0, 0), 100) },
                disablesTracing: tracing["disableSpanReporting"]?.bool ?? false, tags: tags),
            problems: problems)
    }
}

/// The egress part of Istio's Sidecar.
package enum IstioSidecar {
    package static func read(_ object: KubeObject) -> Reading<EgressScope> {
        let hosts = (object.spec["egress"]?.array ?? []).flatMap { $0["hosts"]?.array?.compactMap(\.string) ?? [] }
        guard !hosts.isEmpty else { return Reading(nil) }
        let problems = hosts.enumerated().filter { !$0.element.contains("/") }.map {
            FieldError(
                path: "spec.egress[0].hosts[\($0.offset)]", message: "'\($0.element)' must be namespace/host, e.g. ./*")
        }
        return Reading(
            EgressScope(
                source: object.reference, namespace: object.namespace,
                selector: object.spec[path: "workloadSelector", "labels"]?.stringMap, hosts: hosts),
            problems: problems)
    }
}
