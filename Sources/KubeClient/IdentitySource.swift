import FoundationEssentials
import KubeCore
import Synchronization

/// What a request shows to say who sends it.
struct Identity: Sendable {
    /// The `Authorization` header.
    var authorization: String?
    /// In place of the configuration's own.
    var certificate: ClientConfiguration.ClientCertificate?
    /// Which reading of the credential this came from; a new one after each.
    fileprivate var number = 0
}

/// Gives the identity to send with: reads a token file again as time passes, and runs a credential plugin when its last
/// answer has lapsed or was refused. Of several requests that need a plugin's run, one starts it and the others wait.
final class IdentitySource: Sendable {
    private struct Cached {
        var identity: Identity
        /// For files: when to look again.
        var freshUntil: ContinuousClock.Instant?
        /// For plugins.
        var expires: Date?
        var isRefused = false
    }

    private let credential: ClientConfiguration.Credential
    /// A projected token is renewed long before it lapses, so some seconds of delay cost nothing.
    private let fileLifetime: Duration
    private let hasTerminal: Bool
    private let now: @Sendable () -> Date
    private let turnstile = Turnstile()
    private let cached = Mutex<Cached?>(nil)

    init(
        _ credential: ClientConfiguration.Credential, fileLifetime: Duration = .seconds(10), hasTerminal: Bool = false,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.credential = credential
        self.fileLifetime = fileLifetime
        self.hasTerminal = hasTerminal
        self.now = now
    }

    /// - Throws: `APIError` of code 0 when a file cannot be read or a plugin fails; `CancellationError`.
    func current() async throws -> Identity {
        switch credential {
        case .none: return Identity()
        case .token(let token): return Identity(authorization: "Bearer \(token)")
        case .basic(let user, let password):
            return Identity(authorization: "Basic " + Data("\(user):\(password)".utf8).base64EncodedString())
        case .tokenFile(let path): return try fromFile(path)
        case .plugin(let plugin):
            if let identity = valid() { return identity }
            return try await turnstile.pass {
                // Who came before may have done it.
                if let identity = valid() { return identity }
                let answer = try await plugin.run(hasTerminal: hasTerminal)
                return store(
                    Identity(authorization: answer.token.map { "Bearer \($0)" }, certificate: answer.certificate),
                    expires: answer.expires)
            }
        }
    }

    /// Tells that the server refused this identity. True when asking again may give another.
    func refuse(_ identity: Identity) -> Bool {
        switch credential {
        case .none, .token, .basic: return false
        case .tokenFile, .plugin:
            cached.withLock { cached in
                // Another request may have renewed it since.
                if cached?.identity.number == identity.number { cached?.isRefused = true }
            }
            return true
        }
    }

    private func fromFile(_ path: String) throws(APIError) -> Identity {
        let last = cached.withLock { $0 }
        if let last, !last.isRefused, let until = last.freshUntil, ContinuousClock.now < until { return last.identity }
        let text: String
        do {
            text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
                .filter { !$0.isWhitespace }
        } catch {
            // A volume that is just being replaced: the token at hand is good for longer than that.
            if let last, !last.isRefused { return last.identity }
            throw APIError(
                code: 0, reason: "Unauthorized", message: "the token file \(path) cannot be read: \(error)")
        }
        if text.isEmpty {
            if let last, !last.isRefused { return last.identity }
            throw APIError(code: 0, reason: "Unauthorized", message: "the token file \(path) is empty")
        }
        return store(Identity(authorization: "Bearer \(text)"), freshUntil: .now + fileLifetime)
    }

    private func valid() -> Identity? {
        cached.withLock { cached in
            guard let cached, !cached.isRefused else { return nil }
            if let expires = cached.expires, expires <= now() { return nil }
            return cached.identity
        }
    }

    private func store(
        _ identity: Identity, freshUntil: ContinuousClock.Instant? = nil, expires: Date? = nil
    ) -> Identity {
        cached.withLock { cached in
            var identity = identity
            identity.number = (cached?.identity.number ?? 0) + 1
            cached = Cached(identity: identity, freshUntil: freshUntil, expires: expires)
            return identity
        }
    }
}
