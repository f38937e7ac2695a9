import AsyncHTTPClient
package import KubeCore
import NIOCore

/// Which of a container's log lines to read.
package struct PodLogRequest: Sendable, Hashable {
    package var namespace: String
    package var pod: String
    /// May be nil in a pod of one container.
    package var container: String?
    /// Goes on with new lines until the container ends.
    package var follows = false
    /// Of the container's previous run.
    package var isPrevious = false
    /// Puts the time of each line, RFC 3339, in front.
    package var hasTimestamps = false
    package var tailLines: Int?
    package var sinceSeconds: Int?
    /// RFC 3339.
    package var sinceTime: String?
    package var limitBytes: Int?

    package init(namespace: String, pod: String, container: String? = nil, follows: Bool = false, tailLines: Int? = nil)
    {
        self.namespace = namespace
        self.pod = pod
        self.container = container
        self.follows = follows
        self.tailLines = tailLines
    }

    var request: APIRequest {
        var query: [String: String] = [:]
        query["container"] = container
        if follows { query["follow"] = "true" }
        if isPrevious { query["previous"] = "true" }
        if hasTimestamps { query["timestamps"] = "true" }
        query["tailLines"] = tailLines.map(String.init)
        query["sinceSeconds"] = sinceSeconds.map(String.init)
        query["sinceTime"] = sinceTime
        query["limitBytes"] = limitBytes.map(String.init)
        return APIRequest(.get, .pods, namespace: namespace, name: pod, subresource: "log", query: query)
    }
}

extension KubeClient {
    /// Longer lines come in pieces.
    private static let maximumLogLineBytes = 1 << 20

    /// A container's log, line by line as the consumer asks for them; empty lines count. What is not UTF-8 is replaced.
    /// - Throws: `APIError`, from the stream too when the connection is lost.
    package func logs(_ request: PodLogRequest) async throws(APIError) -> AsyncThrowingStream<String, any Error> {
        var call = try HTTPCall(request.request)
        call.accept = "*/*"
        let reader = LogReader(
            body: try await open(call), name: call.name, maximumLineBytes: Self.maximumLogLineBytes)
        return AsyncThrowingStream { try await reader.next() }
    }
}

/// Reads one log response, as its lines are asked for.
actor LogReader {
    private let name: String
    private let maximumLineBytes: Int
    private var chunks: HTTPClientResponse.Body.AsyncIterator?
    private var lines = LineFramer(keepsEmptyLines: true)

    init(body: HTTPClientResponse.Body, name: String, maximumLineBytes: Int) {
        self.name = name
        self.maximumLineBytes = maximumLineBytes
        chunks = body.makeAsyncIterator()
    }

    func next() async throws -> String? {
        do {
            while true {
                if let line = lines.next() { return String(buffer: line) }
                if lines.pendingBytes > maximumLineBytes {
                    return lines.cut(maximumLineBytes).map { String(buffer: $0) }
                }
                // Taken out while suspended: a second, concurrent reader finds the stream at its end.
                guard var chunks else { return nil }
                self.chunks = nil
                guard let chunk = try await chunks.next(isolation: self) else {
                    return lines.rest().map { String(buffer: $0) }
                }
                self.chunks = chunks
                lines.feed(chunk)
            }
        } catch {
            chunks = nil
            throw APIError(transport: error, name, answerHadBegun: true)
        }
    }
}
