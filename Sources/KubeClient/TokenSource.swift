import FoundationEssentials
import KubeCore
import Synchronization

/// Gives the value of the `Authorization` header, reading a token file again as time passes.
final class TokenSource: Sendable {
    private struct Cached {
        var header: String
        var readAt: ContinuousClock.Instant
    }

    /// A projected token is renewed long before it lapses, so some seconds of delay cost nothing.
    private let lifetime: Duration
    private let credential: ClientConfiguration.Credential
    private let cached = Mutex<Cached?>(nil)

    init(_ credential: ClientConfiguration.Credential, lifetime: Duration = .seconds(10)) {
        self.credential = credential
        self.lifetime = lifetime
    }

    /// - Throws: `APIError` of code 0 when the file cannot be read.
    func header() throws(APIError) -> String? {
        switch credential {
        case .none: return nil
        case .token(let token): return "Bearer \(token)"
        case .basic(let user, let password):
            return "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
        case .tokenFile(let path):
            if let cached = cached.withLock({ $0 }), ContinuousClock.now - cached.readAt < lifetime {
                return cached.header
            }
            let header: String
            do {
                let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
                header = "Bearer " + text.filter { !$0.isWhitespace }
            } catch {
                throw APIError(
                    code: 0, reason: "Unauthorized", message: "the token file \(path) cannot be read: \(error)")
            }
            cached.withLock { $0 = Cached(header: header, readAt: ContinuousClock.now) }
            return header
        }
    }

    /// Forgets what was read. True when reading again may give another token.
    func invalidate() -> Bool {
        guard case .tokenFile = credential else { return false }
        cached.withLock { $0 = nil }
        return true
    }
}
