/// Any JSON document as a value: the form in which Kubernetes objects travel through Heddle.
///
/// Objects are in no order but that of their names, so equal values give equal bytes.
/// Integers that fit 64 bits stay integers (`1` and `1.0` are different values, as in Kubernetes).
package enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue {
    package var isNull: Bool { self == .null }

    package var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The integer; a double without a fraction counts as one.
    package var int: Int? {
        switch self {
        case .int(let value): value
        case .double(let value): Int(exactly: value)
        default: nil
        }
    }

    package var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    package var array: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    package var object: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The members of an object whose values are all strings (labels, annotations); others are left out.
    package var stringMap: [String: String] { object?.compactMapValues(\.string) ?? [:] }

    /// A member of an object. Setting nil removes it; setting on anything but an object replaces it by an object.
    package subscript(key: String) -> JSONValue? {
        get { object?[key] }
        set {
            var members = object ?? [:]
            // Let go of the old value, so that the members are changed in place.
            self = .null
            members[key] = newValue
            self = .object(members)
        }
    }

    /// An element of an array, nil out of range.
    package subscript(index: Int) -> JSONValue? {
        guard let array, array.indices.contains(index) else { return nil }
        return array[index]
    }

    /// The value below a path of member names, e.g. `object[path: "spec", "template", "metadata"]`.
    /// Setting makes the objects on the way; setting nil removes the last member and makes nothing.
    package subscript(path path: String...) -> JSONValue? {
        get { value(at: path[...]) }
        set { set(newValue, at: path[...]) }
    }

    package func value(at path: ArraySlice<String>) -> JSONValue? {
        guard let first = path.first else { return self }
        return self[first]?.value(at: path.dropFirst())
    }

    package mutating func set(_ value: JSONValue?, at path: ArraySlice<String>) {
        guard let first = path.first else {
            self = value ?? .null
            return
        }
        let rest = path.dropFirst()
        if rest.isEmpty {
            self[first] = value
            return
        }
        if value == nil, self[first]?.object == nil { return }
        var child = self[first] ?? .object([:])
        child.set(value, at: rest)
        self[first] = child
    }
}

// Not by nil: `json["x"] = isEmpty ? nil : .string(y)` would write null where it reads like a removal.
extension JSONValue: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements.map { (key: $0.0, value: $0.1) }, uniquingKeysWith: { $1 }))
    }

    package init(_ map: [String: String]) { self = .object(JSONObject(map.mapValues(JSONValue.string))) }
    package init(_ list: [String]) { self = .array(list.map(JSONValue.string)) }
}

extension JSONValue: Codable {
    package init(from decoder: any Decoder) throws {
        if let direct = decoder as? JSONValueDecoding {
            self = direct.value
            return
        }
        throw DecodingError.dataCorrupted(
            .init(codingPath: decoder.codingPath, debugDescription: "a JSONValue is decoded with JSONValue.decode(_:)"))
    }

    package func encode(to encoder: any Encoder) throws {
        if let direct = encoder as? JSONValueEncoding {
            direct.box.value = self
            return
        }
        throw EncodingError.invalidValue(
            self,
            .init(codingPath: encoder.codingPath, debugDescription: "a JSONValue is encoded with JSONValue(encoding:)"))
    }
}
