/// A request's URL path and query, taken apart.
struct RequestPath: Sendable, Equatable {
    /// Percent-decoded.
    var segments: [String]
    var query: [String: String]

    init(_ target: String) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        segments = parts[0].split(separator: "/").map { Self.decode($0) }
        query = [:]
        guard parts.count == 2 else { return }
        for pair in parts[1].split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[Self.decode(sides[0], plusIsSpace: true)] =
                sides.count == 2 ? Self.decode(sides[1], plusIsSpace: true) : ""
        }
    }

    /// What a path below a group version names.
    struct Resource: Sendable, Equatable {
        var group: String
        var version: String
        var namespace: String?
        var resource: String
        var name: String?
        var subresource: String?
    }

    /// Reads `/api/v1/...` and `/apis/<group>/<version>/...`; nil for other paths and for those that name no resource.
    var resource: Resource? {
        var rest: ArraySlice<String>
        var found: Resource
        if segments.first == "api", segments.count >= 3 {
            found = Resource(group: "", version: segments[1], resource: "")
            rest = segments[2...]
        } else if segments.first == "apis", segments.count >= 4 {
            found = Resource(group: segments[1], version: segments[2], resource: "")
            rest = segments[3...]
        } else {
            return nil
        }
        let isOfNamespace = rest.count == 3 && ["status", "finalize"].contains(rest.last)
        if rest.first == "namespaces", rest.count >= 3, !(found.group.isEmpty && isOfNamespace) {
            found.namespace = rest[rest.startIndex + 1]
            rest = rest.dropFirst(2)
        }
        guard let resource = rest.popFirst() else { return nil }
        found.resource = resource
        found.name = rest.popFirst()
        if !rest.isEmpty { found.subresource = rest.joined(separator: "/") }
        return found
    }

    private static func decode(_ text: Substring, plusIsSpace: Bool = false) -> String {
        guard text.contains(where: { $0 == "%" || $0 == "+" }) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else if plusIsSpace, byte == UInt8(ascii: "+") {
                bytes.append(UInt8(ascii: " "))
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
