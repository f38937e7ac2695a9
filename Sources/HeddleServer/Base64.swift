import FoundationEssentials

/// Base64 as Kubernetes uses it, in Secrets and admission patches.
package enum Base64 {
    package static func encode(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
    package static func encode(_ text: String) -> String { encode(Array(text.utf8)) }

    /// Nil when it is not Base64 of UTF-8 text.
    package static func decodeText(_ text: String) -> String? {
        Data(base64Encoded: text).flatMap { String(validating: $0, as: UTF8.self) }
    }
}
