import AsyncHTTPClient
import KubeCore
import NIOCore
import NIOHTTP1

/// Makes a real server's store forget old versions, through etcd's JSON gateway, as an API server does by itself every five
/// minutes.
struct EtcdCompaction: Sendable {
    let url: String

    func compact(upTo version: String) async throws {
        var request = HTTPClientRequest(url: url + "/v3/kv/compaction")
        request.method = .POST
        request.body = .bytes(ByteBuffer(string: "{\"revision\":\"\(version)\"}"))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        let body = String(buffer: try await response.body.collect(upTo: 1 << 16))
        // Somebody has done it before.
        if body.contains("has been compacted") { return }
        guard response.status == .ok else {
            throw APIError(code: Int(response.status.code), reason: "Etcd", message: body)
        }
    }
}
