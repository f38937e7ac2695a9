import Testing
@testable import MeshEvidence
