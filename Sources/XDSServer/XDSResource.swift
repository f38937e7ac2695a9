package import SwiftProtobuf

/// One resource for a proxy. Its version is a hash of its content: the same content has the same version after a
/// restart and in every replica, so that a proxy that reconnects is sent nothing that it has.
package struct XDSResource: Sendable, Equatable {
    package let type: TypeURL
    package let name: String
    package let version: String
    package let body: Google_Protobuf_Any
    /// The clusters that a listener or route refers to. It is kept back, and its last version serves on, until the
    /// proxy has them all. Without names it waits for all clusters that are under way, so naming them is quicker and
    /// surer.
    package let requires: Set<String>
    /// The version as a number, for the version of a whole set.
    let fingerprint: UInt64

    package init(name: String, body: Google_Protobuf_Any, requires: Set<String> = []) {
        self.type = TypeURL(rawValue: body.typeURL)
        self.name = name
        self.body = body
        self.requires = requires
        fingerprint = ContentHash.of(body.value)
        version = ContentHash.text(fingerprint)
    }

    /// Encodes `message` with a stable order of map entries.
    package init(name: String, message: some Message, requires: Set<String> = []) throws {
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        let any = try Google_Protobuf_Any.with {
            $0.typeURL = "type.googleapis.com/\(Swift.type(of: message).protoMessageName)"
            $0.value = try message.serializedBytes(options: options)
        }
        self.init(name: name, body: any, requires: requires)
    }

    package static func == (left: XDSResource, right: XDSResource) -> Bool {
        left.type == right.type && left.name == right.name && left.version == right.version
    }
}

/// FNV-1a of 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/). A version is compared only with earlier versions of
/// the same resource, so that a collision is a matter of 2^-64 a change.
enum ContentHash {
    private static let start: UInt64 = 0xcbf2_9ce4_8422_2325
    private static let prime: UInt64 = 0x0000_0100_0000_01b3

    static func of(_ bytes: some Sequence<UInt8>, seed: UInt64? = nil) -> UInt64 {
        var hash = seed ?? start
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* prime }
        return hash
    }

    static func text(_ hash: UInt64) -> String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
