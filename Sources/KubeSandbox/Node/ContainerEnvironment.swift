import KubeCore

/// Resolves a container's environment and its references into text.
struct ContainerEnvironment {
    let container: ContainerSpec
    let podIP: String
    let hostIP: String
    /// Looks up a ConfigMap or Secret of the pod's namespace.
    let find: (GroupVersionResource, String) -> KubeObject?

    /// - Throws: `SandboxError` naming the missing object or key; the container waits for it.
    func resolve(base: [String: String]) throws(SandboxError) -> [String: String] {
        var result = base
        for source in container.json["envFrom"]?.array ?? [] {
            let prefix = source["prefix"]?.string ?? ""
            for (field, resource) in [("configMapRef", GroupVersionResource.configMaps), ("secretRef", .secrets)] {
                guard let reference = source[field] else { continue }
                let name = reference["name"]?.string ?? ""
                guard let object = find(resource, name) else {
                    if reference["optional"]?.bool ?? false { continue }
                    throw SandboxError("\(resource.kind) \"\(name)\" not found")
                }
                for (key, bytes) in object.fileContents {
                    result[prefix + key] = String(decoding: bytes, as: UTF8.self)
                }
            }
        }
        for variable in container.json["env"]?.array ?? [] {
            guard let name = variable["name"]?.string else { continue }
            if let source = variable["valueFrom"] {
                if let value = try value(from: source) { result[name] = value }
            } else {
                result[name] = Self.expand(variable["value"]?.string ?? "", with: result)
            }
        }
        return result
    }

    private func value(from source: JSONValue) throws(SandboxError) -> String? {
        if let field = source["fieldRef"] {
            return try PodFields(pod: container.pod, podIP: podIP, hostIP: hostIP).value(
                field["fieldPath"]?.string ?? "")
        }
        if source["resourceFieldRef"] != nil { return "0" }
        for (field, resource) in [("configMapKeyRef", GroupVersionResource.configMaps), ("secretKeyRef", .secrets)] {
            guard let reference = source[field] else { continue }
            let (name, key) = (reference["name"]?.string ?? "", reference["key"]?.string ?? "")
            if let bytes = find(resource, name)?.fileContents[key] { return String(decoding: bytes, as: UTF8.self) }
            if reference["optional"]?.bool ?? false { return nil }
            throw SandboxError("key \"\(key)\" of \(resource.kind) \"\(name)\" not found")
        }
        return nil
    }

    /// `$(NAME)` becomes the variable, `$$` a dollar; an unknown reference stays as it is.
    static func expand(_ text: String, with variables: [String: String]) -> String {
        var result = ""
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                result += "$"
                rest = rest.dropFirst()
            } else if rest.first == "(", let end = rest.firstIndex(of: ")") {
                let name = String(rest[rest.index(after: rest.startIndex)..<end])
                result += variables[name] ?? "$(\(name))"
                rest = rest[rest.index(after: end)...]
            } else {
                result += "$"
            }
        }
        return result + rest
    }
}

/// The pod's fields that the downward API offers.
struct PodFields {
    let pod: KubeObject
    let podIP: String
    let hostIP: String

    func value(_ path: String) throws(SandboxError) -> String {
        switch path {
        case "metadata.name": return pod.name
        case "metadata.namespace": return pod.namespace
        case "metadata.uid": return pod.uid
        case "metadata.labels": return Self.lines(pod.labels)
        case "metadata.annotations": return Self.lines(pod.annotations)
        case "spec.nodeName": return pod.nodeName ?? ""
        case "spec.serviceAccountName": return pod.spec["serviceAccountName"]?.string ?? "default"
        case "status.podIP", "status.podIPs": return podIP
        case "status.hostIP", "status.hostIPs": return hostIP
        default:
            for (prefix, map) in [("metadata.labels['", pod.labels), ("metadata.annotations['", pod.annotations)]
            where path.hasPrefix(prefix) && path.hasSuffix("']") {
                return map[String(path.dropFirst(prefix.count).dropLast(2))] ?? ""
            }
            throw SandboxError("the downward API has no field \"\(path)\"")
        }
    }

    /// `key="escaped value"` lines, as kubelet writes them.
    private static func lines(_ map: [String: String]) -> String {
        map.sorted { $0.key < $1.key }.map { "\($0.key)=\(JSONValue.string($0.value).serialized())" }.joined(
            separator: "\n")
    }
}
