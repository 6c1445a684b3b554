import process from 'node:process';
import uniPlugin from '@dcloudio/vite-plugin-uni';
import { defineConfig } from 'vite';

// A CommonJS package: its default export lies one deeper.
const uni = uniPlugin.default ?? uniPlugin;

export default defineConfig({
  plugins: [uni()],
  define: {
    BUILD_VERSION: JSON.stringify(process.env.SLIPWAY_VERSION || '0.0.0'),
    BUILD_COMMIT: JSON.stringify((process.env.SLIPWAY_COMMIT || 'local').slice(0, 12)),
  },
});
