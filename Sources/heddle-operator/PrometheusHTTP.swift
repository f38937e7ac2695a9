import AsyncHTTPClient
import FoundationEssentials
import HeddleAPI
import KubeCore
import MeshEvidence
import NIOCore
import NIOHTTP1
import Synchronization

/// Prometheus' HTTP API over the network.
struct PrometheusHTTP: PrometheusQuerying {
    let client: HTTPClient
    let base: String
    let timeout: Duration

    func instant(_ query: String, at: Date?) async throws(QueryError) -> PrometheusAnswer {
        try await send(.instant(query, at: at))
    }

    func range(_ query: String, from: Date, to: Date, stepSeconds: Double) async throws(QueryError) -> PrometheusAnswer
    {
        try await send(.range(query, from: from, to: to, stepSeconds: stepSeconds))
    }

    private func send(_ request: PrometheusRequest) async throws(QueryError) -> PrometheusAnswer {
        let status: Int
        let bytes: [UInt8]
        do {
            let response = try await client.execute(
                HTTPClientRequest(url: request.url(base: base)),
                timeout: .nanoseconds(Int64(timeout / .nanoseconds(1))))
            status = Int(response.status.code)
            bytes = Array(try await response.body.collect(upTo: 16 << 20).readableBytesView)
        } catch {
            throw QueryError(.unreachable, "\(base): \(error)")
        }
        return try PrometheusAnswer.decode(bytes, httpStatus: status)
    }
}
