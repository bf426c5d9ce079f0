import { pythonWith } from '../../servers/python.ts'

const requirements = ['impyla==0.24.0', 'PyHive==0.7.0', 'pure-sasl==0.6.2', 'thrift-sasl==0.4.3']

/** A Python with the libraries that read HiveServer2 there. */
export const pythonWithHs2 = (): Promise<string> => pythonWith('bench-python-hs2', requirements)
