import KubeJSON

/// What is wrong with a JSON text, where in the document, and at which byte.
package struct JSONSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    package var message: String
    /// Offset in bytes from the start of the text.
    package var offset: Int
    /// Where in the document, such as `$.items[7500].spec.containers[0].image`.
    package var path: String

    package init(message: String, offset: Int, path: String = "$") {
        self.message = message
        self.offset = offset
        self.path = path
    }

    package var description: String { "invalid JSON at byte \(offset), \(path): \(message)" }
}

extension JSONSyntaxError {
    /// Looks up the path of a failure in the text that was read.
    init(_ failure: JSONFailure, in bytes: Span<UInt8>) {
        self.init(
            message: failure.kind.message, offset: failure.offset,
            path: JSONLocator.path(of: failure.offset, in: bytes))
    }

    init(_ failure: ListFailure) {
        self.init(message: failure.failure.kind.message, offset: failure.failure.offset, path: failure.path)
    }
}

extension JSONValue {
    /// Deepest nesting that `parse` accepts.
    package static var maximumDepth: Int { JSONScanner.defaultMaximumDepth }

    /// Reads one JSON text (RFC 8259), nothing after it but white space.
    /// - Parameter selection: what is kept of it.
    /// - Throws: `JSONSyntaxError` for malformed text, invalid UTF-8, a duplicate member, a number out of range, or nesting
    ///   beyond `maximumDepth`.
    package static func parse(
        _ bytes: some Sequence<UInt8>, keeping selection: FieldSelection = .everything
    ) throws(JSONSyntaxError) -> JSONValue {
        // Typed throws don't pass through the closure.
        let direct = bytes.withContiguousStorageIfAvailable { bytes in
            Result { () throws(JSONSyntaxError) in try parse(span: bytes.span, keeping: selection) }
        }
        if let direct { return try direct.get() }
        return try parse(span: Array(bytes).span, keeping: selection)
    }

    package static func parse(_ text: String) throws(JSONSyntaxError) -> JSONValue { try parse(text.utf8) }

    package static func parse(span bytes: Span<UInt8>, keeping selection: FieldSelection = .everything)
        throws(JSONSyntaxError) -> JSONValue
    {
        var scanner = JSONScanner(bytes)
        var reader = JSONTreeReader()
        do throws(JSONFailure) {
            let value = try reader.read(&scanner, keeping: selection)
            try scanner.end()
            return value
        } catch {
            throw JSONSyntaxError(error, in: bytes)
        }
    }
}
