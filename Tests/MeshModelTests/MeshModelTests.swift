import Testing

@testable import MeshModel
