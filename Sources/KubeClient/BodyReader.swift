import AsyncHTTPClient
import KubeCore
import NIOCore

/// Turns the body of one good answer into a value. It runs again for each attempt; an `APIError` that it throws is
/// final, any other error counts as a lost connection.
struct BodyReader: Sendable {
    /// What was asked, for messages.
    var name: String
    var maximumBytes: Int

    /// The body as one JSON value.
    func json(
        _ body: HTTPClientResponse.Body, keeping selection: FieldSelection = .everything
    ) async throws -> JSONValue {
        let bytes = try await collect(body)
        do throws(JSONSyntaxError) {
            return try JSONValue.parse(bytes.readableBytesView, keeping: selection)
        } catch {
            throw invalid(error)
        }
    }

    /// A list, read while it arrives: of the body no more is held than one unfinished item.
    func list(_ body: HTTPClientResponse.Body, keeping selection: FieldSelection) async throws -> JSONValue {
        var reader = JSONListReader(keeping: selection)
        var size = 0
        for try await chunk in body {
            size += chunk.readableBytes
            guard size <= maximumBytes else { throw tooLarge }
            do throws(JSONSyntaxError) {
                try chunk.withSpan { bytes throws(JSONSyntaxError) in try reader.feed(bytes) }
            } catch {
                throw invalid(error)
            }
        }
        do throws(JSONSyntaxError) {
            return try reader.finish()
        } catch {
            throw invalid(error)
        }
    }

    private func invalid(_ error: JSONSyntaxError) -> APIError {
        APIError(code: 0, reason: "InvalidAnswer", message: "\(name): the answer is \(error)")
    }

    private var tooLarge: APIError {
        APIError(code: 0, reason: "InvalidAnswer", message: "\(name): the answer is larger than \(maximumBytes) bytes")
    }

    private func collect(_ body: HTTPClientResponse.Body) async throws -> ByteBuffer {
        do {
            return try await body.collect(upTo: maximumBytes)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
    }
}

extension ByteBuffer {
    /// The readable bytes in place.
    func withSpan<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let outcome = withUnsafeReadableBytes { bytes in
            Swift.Result { () throws(Failure) in
                try body(bytes.bindMemory(to: UInt8.self).span)
            }
        }
        return try outcome.get()
    }
}
