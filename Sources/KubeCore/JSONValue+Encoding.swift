extension JSONValue {
    /// The JSON form of an `Encodable` Swift value. Members that are nil are left out.
    /// - Throws: `FieldError` for a value that JSON has no form for.
    package init(encoding value: some Encodable) throws(FieldError) {
        if let value = value as? JSONValue {
            self = value
            return
        }
        let encoder = JSONValueEncoding(box: .init(), codingPath: [])
        do {
            try value.encode(to: encoder)
        } catch {
            throw FieldError(path: "", message: "cannot be written as JSON: \(error)")
        }
        self = encoder.box.resolved
    }
}

/// Writes a Swift value into a JSONValue as the standard library's `Encoder`. Used within one call, by one task.
struct JSONValueEncoding: Encoder {
    /// A place in the tree that is being written.
    final class Box {
        var value: JSONValue = .null
        var members: [String: Box]?
        var elements: [Box]?

        var resolved: JSONValue {
            if let members { return .object(JSONObject(members.mapValues(\.resolved))) }
            if let elements { return .array(elements.map(\.resolved)) }
            return value
        }
    }

    let box: Box
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if box.members == nil { box.members = [:] }
        return KeyedEncodingContainer(Keyed<Key>(box: box, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if box.elements == nil { box.elements = [] }
        return Unkeyed(box: box, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { Single(box: box, codingPath: codingPath) }

    static func integer(_ value: some BinaryInteger) -> JSONValue {
        Int(exactly: value).map(JSONValue.int) ?? .double(Double(value))
    }

    static func write<T: Encodable>(_ value: T, to box: Box, path: [any CodingKey]) throws {
        if let json = value as? JSONValue {
            box.value = json
        } else {
            try value.encode(to: JSONValueEncoding(box: box, codingPath: path))
        }
    }

    private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
        let box: Box
        var codingPath: [any CodingKey]

        func child(_ key: Key) -> Box {
            let child = Box()
            box.members?[key.stringValue] = child
            return child
        }

        mutating func encodeNil(forKey key: Key) { child(key).value = .null }
        mutating func encode(_ value: Bool, forKey key: Key) { child(key).value = .bool(value) }
        mutating func encode(_ value: String, forKey key: Key) { child(key).value = .string(value) }
        mutating func encode(_ value: Double, forKey key: Key) { child(key).value = .double(value) }
        mutating func encode(_ value: Float, forKey key: Key) { child(key).value = .double(Double(value)) }
        mutating func encode(_ value: Int, forKey key: Key) { child(key).value = .int(value) }
        mutating func encode(_ value: Int8, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode(_ value: Int16, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode(_ value: Int32, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode(_ value: Int64, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode(_ value: UInt, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode(_ value: UInt8, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode(_ value: UInt16, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode(_ value: UInt32, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode(_ value: UInt64, forKey key: Key) { child(key).value = integer(value) }
        mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
            try write(value, to: child(key), path: codingPath + [key])
        }
        mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key)
            -> KeyedEncodingContainer<Nested>
        { JSONValueEncoding(box: child(key), codingPath: codingPath + [key]).container(keyedBy: type) }
        mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
            JSONValueEncoding(box: child(key), codingPath: codingPath + [key]).unkeyedContainer()
        }
        mutating func superEncoder() -> any Encoder { JSONValueEncoding(box: box, codingPath: codingPath) }
        mutating func superEncoder(forKey key: Key) -> any Encoder {
            JSONValueEncoding(box: child(key), codingPath: codingPath + [key])
        }
    }

    private struct Unkeyed: UnkeyedEncodingContainer {
        let box: Box
        var codingPath: [any CodingKey]
        var count: Int { box.elements?.count ?? 0 }

        func child() -> Box {
            let child = Box()
            box.elements?.append(child)
            return child
        }

        mutating func encodeNil() { child().value = .null }
        mutating func encode<T: Encodable>(_ value: T) throws {
            try write(value, to: child(), path: codingPath + [IndexKey(count)])
        }
        mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
            JSONValueEncoding(box: child(), codingPath: codingPath).container(keyedBy: type)
        }
        mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
            JSONValueEncoding(box: child(), codingPath: codingPath).unkeyedContainer()
        }
        mutating func superEncoder() -> any Encoder { JSONValueEncoding(box: child(), codingPath: codingPath) }
    }

    private struct Single: SingleValueEncodingContainer {
        let box: Box
        var codingPath: [any CodingKey]

        mutating func encodeNil() { box.value = .null }
        mutating func encode(_ value: Bool) { box.value = .bool(value) }
        mutating func encode(_ value: String) { box.value = .string(value) }
        mutating func encode(_ value: Double) { box.value = .double(value) }
        mutating func encode(_ value: Float) { box.value = .double(Double(value)) }
        mutating func encode(_ value: Int) { box.value = .int(value) }
        mutating func encode(_ value: Int8) { box.value = integer(value) }
        mutating func encode(_ value: Int16) { box.value = integer(value) }
        mutating func encode(_ value: Int32) { box.value = integer(value) }
        mutating func encode(_ value: Int64) { box.value = integer(value) }
        mutating func encode(_ value: UInt) { box.value = integer(value) }
        mutating func encode(_ value: UInt8) { box.value = integer(value) }
        mutating func encode(_ value: UInt16) { box.value = integer(value) }
        mutating func encode(_ value: UInt32) { box.value = integer(value) }
        mutating func encode(_ value: UInt64) { box.value = integer(value) }
        mutating func encode<T: Encodable>(_ value: T) throws { try write(value, to: box, path: codingPath) }
    }
}
