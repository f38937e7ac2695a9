import KubeCore
import Logging
import NIOCore
import Testing

@testable import KubeClient

@Suite(.timeLimit(.minutes(1)))
struct WatchTests {
    let request = APIRequest(.watch, .pods, namespace: "shop", query: ["resourceVersion": "5"])

    func event(_ type: String, _ name: String) -> String {
        #"{"type":"\#(type)","object":{"kind":"Pod","metadata":{"name":"\#(name)","resourceVersion":"6"}}}"#
    }

    func watching(
        _ body: (
            _ client: KubeClient, _ chunks: AsyncStream<String>.Continuation, _ server: LocalServer
        ) async throws -> Void
    ) async throws {
        let (stream, chunks) = AsyncStream<String>.makeStream()
        try await LocalServer.serving { _, _ in
            .stream(stream)
        } during: { server, port in
            let client = try KubeClient(
                configuration: ClientConfiguration(server: "http://127.0.0.1:\(port)"),
                logger: .quiet)
            do {
                try await body(client, chunks, server)
            } catch {
                chunks.finish()
                await client.shutdown()
                throw error
            }
            chunks.finish()
            await client.shutdown()
        }
    }

    @Test func `events arrive as they are sent, however they are cut`() async throws {
        try await watching { client, chunks, server in
            var events = try await client.watch(request).makeAsyncIterator()
            #expect(
                server.seen.first?.uri == "/api/v1/namespaces/shop/pods?resourceVersion=5&timeoutSeconds=600&watch=true"
            )
            let text = event("ADDED", "é")
            let middle = text.index(text.startIndex, offsetBy: 20)
            chunks.yield(String(text[..<middle]))
            chunks.yield(String(text[middle...]) + "\n" + event("MODIFIED", "b") + "\n\n" + event("DELETED", "c"))
            #expect(try await events.next()?.object.name == "é")
            #expect(try await events.next()?.kind == .modified)
            chunks.yield("\n" + event("BOOKMARK", "") + "\n")
            #expect(try await events.next()?.kind == .deleted)
            #expect(try await events.next()?.kind == .bookmark)
            chunks.yield(event("ADDED", "last"))
            chunks.finish()
            #expect(try await events.next()?.object.name == "last", "a last line needs no end")
            #expect(try await events.next() == nil)
        }
    }

    @Test func `an error event is thrown, and 410 asks for a new list`() async throws {
        try await watching { client, chunks, _ in
            var events = try await client.watch(request).makeAsyncIterator()
            chunks.yield(
                #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}}"# + "\n")
            await #expect { _ = try await events.next() } throws: { ($0 as? APIError)?.isExpired == true }
        }
    }

    @Test(arguments: ["{]\n", #"{"type":"NEWS","object":{}}"# + "\n", #"{"object":{}}"# + "\n"])
    func `an event that makes no sense is an error, not a silence`(_ line: String) async throws {
        try await watching { client, chunks, _ in
            var events = try await client.watch(request).makeAsyncIterator()
            chunks.yield(line)
            await #expect { _ = try await events.next() } throws: { ($0 as? APIError)?.reason == "InvalidAnswer" }
        }
    }

    @Test func `cancelling the consumer ends the watch`() async throws {
        try await watching { client, chunks, _ in
            let events = try await client.watch(request)
            let consumer = Task { for try await _ in events {} }
            try await Task.sleep(for: .milliseconds(20))
            consumer.cancel()
            _ = await consumer.result
        }
    }

    @Test func `a watch that is refused says why`() async throws {
        try await LocalServer.serving { _, _ in
            .status(410, "Expired")
        } during: { _, port in
            let client = try KubeClient(
                configuration: ClientConfiguration(server: "http://127.0.0.1:\(port)"),
                logger: .quiet)
            await #expect { _ = try await client.watch(request) } throws: { ($0 as? APIError)?.isExpired == true }
            await client.shutdown()
        }
    }

    @Test func `many watches do not stop requests`() async throws {
        try await LocalServer.serving { request, _ in
            request.uri.contains("watch=true") ? .stream(AsyncStream { _ in }) : .ok()
        } during: { server, port in
            let client = try KubeClient(
                configuration: ClientConfiguration(server: "http://127.0.0.1:\(port)"),
                logger: .quiet)
            var open: [AsyncThrowingStream<WatchEvent, any Error>] = []
            for _ in 0..<40 { open.append(try await client.watch(request)) }
            _ = try await client.get(.pods, name: "a")
            #expect(open.count == 40 && server.connectionCount == 41)
            open = []
            await client.shutdown()
        }
    }
}

struct LineFramerTests {
    @Test func `lines come out the same however the bytes are cut`() {
        let text = "one\ntwo\n\nthree is longer\nrest"
        for size in 1...text.utf8.count {
            var framer = LineFramer()
            var lines: [String] = []
            var bytes = Array(text.utf8)[...]
            while !bytes.isEmpty {
                framer.feed(ByteBuffer(bytes: bytes.prefix(size)))
                bytes = bytes.dropFirst(size)
                while let line = framer.next() { lines.append(String(buffer: line)) }
            }
            #expect(lines == ["one", "two", "three is longer"])
            let last = framer.rest().map { String(buffer: $0) }
            #expect(last == "rest")
            let (next, rest) = (framer.next(), framer.rest())
            #expect(next == nil && rest == nil)
        }
    }
}
