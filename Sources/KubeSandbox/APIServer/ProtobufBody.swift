import FoundationEssentials
import KubeCore

/// Reads the protobuf bodies that client-go's typed clients (so `kubectl create ...`, `drain`, `auth`) send without asking.
///
/// Only the kinds and fields of `ProtobufFields` are known. Anything else is refused, never dropped in silence; answers
/// are always JSON.
struct ProtobufBody {
    /// What the body cannot be read for.
    struct Unreadable: Error, CustomStringConvertible {
        var description: String
    }

    /// Kubernetes' envelope: these four bytes, then a `runtime.Unknown`.
    private static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]

    static func parse(_ bytes: [UInt8]) throws(Unreadable) -> JSONValue {
        guard bytes.starts(with: magic) else { throw Unreadable(description: "not Kubernetes' protobuf") }
        var type: JSONValue = [:]
        var raw: ArraySlice<UInt8> = []
        var reader = Reader(bytes: bytes[4...])
        while let (number, value) = try reader.next() {
            if number == 1 { type = try object(value.bytes, "TypeMeta") }
            if number == 2 { raw = value.bytes }
        }
        let kind = type["kind"]?.string ?? ""
        var object = try object(raw, kind)
        object["apiVersion"] = type["apiVersion"]
        object["kind"] = type["kind"]
        return object
    }

    private static func object(_ bytes: ArraySlice<UInt8>, _ message: String) throws(Unreadable) -> JSONValue {
        guard let fields = ProtobufFields.messages[message] else {
            throw Unreadable(description: "\(message) is not known in protobuf")
        }
        var result: JSONValue = [:]
        var reader = Reader(bytes: bytes)
        while let (number, value) = try reader.next() {
            guard let field = fields[number] else {
                throw Unreadable(description: "field \(number) of \(message) is not known in protobuf")
            }
            try add(value, field, to: &result)
        }
        return result
    }

    private static func add(_ value: Reader.Value, _ field: ProtobufFields.Field, to object: inout JSONValue)
        throws(Unreadable)
    {
        let name = field.name
        switch field.shape {
        case .skipped: return
        case .list:
            let element = try scalar(value, field.type)
            object[name] = .array((object[name]?.array ?? []) + [element])
        case .map:
            var reader = Reader(bytes: value.bytes)
            var key = ""
            var member: JSONValue = field.type == "string" || field.type == "bytes" ? "" : [:]
            while let (number, part) = try reader.next() {
                if number == 1 { key = String(decoding: part.bytes, as: UTF8.self) }
                if number == 2 { member = try scalar(part, field.type) }
            }
            object.change(name) { $0[key] = member }
        case .plain, .optional:
            let found = try scalar(value, field.type)
            // What Go holds by value is always sent, empty or not; what it holds by pointer only when it is set.
            if field.shape == .plain, [.string(""), .int(0), .bool(false), .object([:]), .null].contains(found) {
                return
            }
            object[name] = found
        }
    }

    private static func scalar(_ value: Reader.Value, _ type: String) throws(Unreadable) -> JSONValue {
        switch type {
        case "string": return .string(String(decoding: value.bytes, as: UTF8.self))
        case "bytes": return .string(Base64.encode(value.bytes))
        case "int": return .int(Int(Int64(bitPattern: value.number)))
        case "bool": return .bool(value.number != 0)
        case "Quantity": return try object(value.bytes, type)["string"] ?? "0"
        case "IntOrString":
            let parts = try object(value.bytes, type)
            return parts["type"] == 1 ? parts["strVal"] ?? "" : parts["intVal"] ?? 0
        case "Time":
            guard let seconds = try object(value.bytes, type)["seconds"]?.int else { return .null }
            return .string(KubeTime.format(Date(timeIntervalSince1970: Double(seconds))))
        default: return try object(value.bytes, type)
        }
    }

    /// Protobuf's wire format.
    private struct Reader {
        struct Value {
            var number: UInt64 = 0
            var bytes: ArraySlice<UInt8> = []
        }

        var bytes: ArraySlice<UInt8>

        /// The next field; nil at the end.
        mutating func next() throws(Unreadable) -> (number: Int, value: Value)? {
            guard !bytes.isEmpty else { return nil }
            let tag = try varint()
            var value = Value()
            switch tag & 7 {
            case 0: value.number = try varint()
            case 1: value.bytes = try take(8)
            case 2: value.bytes = try take(varint())
            case 5: value.bytes = try take(4)
            default: throw Unreadable(description: "a protobuf group")
            }
            return (Int(tag >> 3), value)
        }

        private mutating func varint() throws(Unreadable) -> UInt64 {
            var result: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 70, by: 7) {
                guard let byte = bytes.popFirst() else { break }
                result |= UInt64(byte & 0x7F) << shift
                if byte & 0x80 == 0 { return result }
            }
            throw Unreadable(description: "a malformed protobuf number")
        }

        private mutating func take(_ count: UInt64) throws(Unreadable) -> ArraySlice<UInt8> {
            guard count <= UInt64(bytes.count) else { throw Unreadable(description: "protobuf that ends too early") }
            defer { bytes = bytes.dropFirst(Int(count)) }
            return bytes.prefix(Int(count))
        }
    }
}
