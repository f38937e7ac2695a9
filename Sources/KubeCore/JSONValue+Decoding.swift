/// A value that does not have the shape a Swift type asks for: which field, and what is wrong with it.
package struct FieldError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Path in Kubernetes' notation, e.g. `spec.steps[2].weight`; empty for the whole object.
    package var path: String
    package var message: String

    package init(path: String, message: String) {
        self.path = path
        self.message = message
    }

    package var description: String { path.isEmpty ? message : "\(path): \(message)" }

    /// Renders a coding path in Kubernetes' notation.
    package static func path(_ codingPath: [any CodingKey]) -> String {
        codingPath.reduce(into: "") { text, key in
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += (text.isEmpty ? "" : ".") + key.stringValue
            }
        }
    }
}

extension JSONValue {
    /// Decodes a `Decodable` Swift type from this value. Unknown members are ignored.
    /// - Throws: `FieldError` naming the field.
    package func decode<T: Decodable>(_ type: T.Type = T.self) throws(FieldError) -> T {
        do {
            return try JSONValueDecoding(value: self, codingPath: []).decodeValue(type)
        } catch let error as FieldError {
            throw error
        } catch let error as DecodingError {
            throw FieldError(error)
        } catch {
            throw FieldError(path: "", message: "\(error)")
        }
    }
}

extension FieldError {
    init(_ error: DecodingError) {
        switch error {
        case .keyNotFound(let key, let context):
            self.init(path: Self.path(context.codingPath + [key]), message: "is required")
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            self.init(path: Self.path(context.codingPath), message: context.debugDescription)
        @unknown default: self.init(path: "", message: "\(error)")
        }
    }
}

struct IndexKey: CodingKey {
    var index: Int
    var stringValue: String { String(index) }
    var intValue: Int? { index }
    init(_ index: Int) { self.index = index }
    init?(stringValue: String) { nil }
    init?(intValue: Int) { index = intValue }
}

/// Reads one JSONValue as the standard library's `Decoder`.
struct JSONValueDecoding: Decoder {
    var value: JSONValue
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard let members = value.object else { throw mismatch("an object") }
        return KeyedDecodingContainer(Keyed<Key>(members: members, codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard let elements = value.array else { throw mismatch("a list") }
        return Unkeyed(elements: elements, codingPath: codingPath)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { Single(decoding: self) }

    func decodeValue<T: Decodable>(_ type: T.Type) throws -> T {
        if type == JSONValue.self, let value = value as? T { return value }
        return try T(from: self)
    }

    func mismatch(_ expected: String) -> FieldError {
        let found =
            switch value {
            case .null: "null"
            case .bool(let value): "\(value)"
            case .int(let value): "\(value)"
            case .double(let value): "\(value)"
            case .string(let value): "'\(value)'"
            case .array: "a list"
            case .object: "an object"
            }
        return FieldError(path: FieldError.path(codingPath), message: "must be \(expected), not \(found)")
    }

    func integer<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        guard let number = value.int, let exact = T(exactly: number) else { throw mismatch("a whole number") }
        return exact
    }

    private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
        var members: JSONObject
        var codingPath: [any CodingKey]
        var allKeys: [Key] { members.keys.compactMap(Key.init(stringValue:)) }

        func contains(_ key: Key) -> Bool { members[key.stringValue] != nil }

        func child(_ key: Key) throws -> JSONValueDecoding {
            guard let value = members[key.stringValue] else {
                throw FieldError(path: FieldError.path(codingPath + [key]), message: "is required")
            }
            return JSONValueDecoding(value: value, codingPath: codingPath + [key])
        }

        func decodeNil(forKey key: Key) throws -> Bool { members[key.stringValue]?.isNull ?? true }
        func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try Single(decoding: child(key)).decode(type) }
        func decode(_ type: String.Type, forKey key: Key) throws -> String {
            try Single(decoding: child(key)).decode(type)
        }
        func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
            try Single(decoding: child(key)).decode(type)
        }
        func decode(_ type: Float.Type, forKey key: Key) throws -> Float {
            try Single(decoding: child(key)).decode(type)
        }
        func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try child(key).integer(type) }
        func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try child(key).integer(type) }
        func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try child(key).integer(type) }
        func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try child(key).integer(type) }
        func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try child(key).integer(type) }
        func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try child(key).integer(type) }
        func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try child(key).integer(type) }
        func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try child(key).integer(type) }
        func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try child(key).integer(type) }
        func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try child(key).integer(type) }
        func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try child(key).decodeValue(type) }

        func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
            -> KeyedDecodingContainer<Nested>
        { try child(key).container(keyedBy: type) }
        func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
            try child(key).unkeyedContainer()
        }
        func superDecoder() throws -> any Decoder {
            JSONValueDecoding(value: .object(members), codingPath: codingPath)
        }
        func superDecoder(forKey key: Key) throws -> any Decoder { try child(key) }
    }

    private struct Unkeyed: UnkeyedDecodingContainer {
        var elements: [JSONValue]
        var codingPath: [any CodingKey]
        var currentIndex = 0
        var count: Int? { elements.count }
        var isAtEnd: Bool { currentIndex >= elements.count }

        mutating func child() throws -> JSONValueDecoding {
            let path = codingPath + [IndexKey(currentIndex)]
            guard !isAtEnd else { throw FieldError(path: FieldError.path(path), message: "is required") }
            defer { currentIndex += 1 }
            return JSONValueDecoding(value: elements[currentIndex], codingPath: path)
        }

        mutating func decodeNil() throws -> Bool {
            guard !isAtEnd, elements[currentIndex].isNull else { return false }
            currentIndex += 1
            return true
        }
        mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try child().decodeValue(type) }
        mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws
            -> KeyedDecodingContainer<Nested>
        { try child().container(keyedBy: type) }
        mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try child().unkeyedContainer() }
        mutating func superDecoder() throws -> any Decoder { try child() }
    }

    private struct Single: SingleValueDecodingContainer {
        var decoding: JSONValueDecoding
        var codingPath: [any CodingKey] { decoding.codingPath }

        func decodeNil() -> Bool { decoding.value.isNull }
        func decode(_ type: Bool.Type) throws -> Bool {
            guard let value = decoding.value.bool else { throw decoding.mismatch("true or false") }
            return value
        }
        func decode(_ type: String.Type) throws -> String {
            guard let value = decoding.value.string else { throw decoding.mismatch("a string") }
            return value
        }
        func decode(_ type: Double.Type) throws -> Double {
            guard let value = decoding.value.double else { throw decoding.mismatch("a number") }
            return value
        }
        func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
        func decode(_ type: Int.Type) throws -> Int { try decoding.integer(type) }
        func decode(_ type: Int8.Type) throws -> Int8 { try decoding.integer(type) }
        func decode(_ type: Int16.Type) throws -> Int16 { try decoding.integer(type) }
        func decode(_ type: Int32.Type) throws -> Int32 { try decoding.integer(type) }
        func decode(_ type: Int64.Type) throws -> Int64 { try decoding.integer(type) }
        func decode(_ type: UInt.Type) throws -> UInt { try decoding.integer(type) }
        func decode(_ type: UInt8.Type) throws -> UInt8 { try decoding.integer(type) }
        func decode(_ type: UInt16.Type) throws -> UInt16 { try decoding.integer(type) }
        func decode(_ type: UInt32.Type) throws -> UInt32 { try decoding.integer(type) }
        func decode(_ type: UInt64.Type) throws -> UInt64 { try decoding.integer(type) }
        func decode<T: Decodable>(_ type: T.Type) throws -> T { try decoding.decodeValue(type) }
    }
}
